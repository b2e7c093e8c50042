//! Routes and serving of the admin listener.

use crate::explain;
use axum::{
    Extension, Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use engine::Engine;
use placement::explain::KeptAt;
use serde_json::json;
use std::{future::Future, net::SocketAddr, sync::Arc};
use tokio::net::TcpListener;

/// Why the admin listener cannot listen.
#[derive(Debug, thiserror::Error)]
#[error(
    "the admin listener cannot listen on {address}: {cause}. Another program may have this port: stop it or choose another port."
)]
pub struct AdminError {
    /// Where it wanted to listen.
    pub address: SocketAddr,
    /// The system's words.
    pub cause: std::io::Error,
}

/// A bound admin listener.
#[derive(Debug)]
pub struct AdminListener {
    socket: TcpListener,
}

impl AdminListener {
    /// Binds.
    ///
    /// # Errors
    /// Where the address is taken or not ours.
    pub async fn bind(address: SocketAddr) -> Result<Self, AdminError> {
        let socket = TcpListener::bind(address).await.map_err(|cause| AdminError { address, cause })?;
        Ok(Self { socket })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system's error, where the socket has no address.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `shutdown` ends. `stores`: where the gateway keeps state, for explanations.
    pub async fn serve(
        self,
        engine: Arc<Engine>,
        stores: Arc<[KeptAt]>,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) {
        if let Err(error) =
            axum::serve(self.socket, router(engine, stores)).with_graceful_shutdown(shutdown).await
        {
            tracing::error!(%error, "the admin listener ended");
        }
    }
}

/// Every route of the admin listener.
pub(crate) fn router(engine: Arc<Engine>, stores: Arc<[KeptAt]>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/explain", post(explain::answer))
        .route("/deployments", get(deployments))
        .layer(Extension(stores))
        .with_state(engine)
}

/// Ready: a snapshot is in force and the journal takes records.
async fn ready(State(engine): State<Arc<Engine>>) -> impl IntoResponse {
    let why = match engine.snapshot() {
        None => Some("no configuration is in force yet"),
        Some(_) => engine.shared().journal.admit().err().map(|_| "the journal takes no records"),
    };
    match why {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
    }
}

async fn metrics(State(engine): State<Arc<Engine>>) -> impl IntoResponse {
    let text = engine.shared().metrics.text(&engine.shared().buffers);
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}

/// Every deployment and how it is just now.
async fn deployments(State(engine): State<Arc<Engine>>) -> impl IntoResponse {
    let now = engine.shared().clock.monotonic();
    let list: Vec<_> = engine
        .snapshot()
        .iter()
        .flat_map(|snapshot| &snapshot.deployments)
        .map(|deployment| {
            json!({
                "deployment": deployment.id.as_str(),
                "provider": deployment.endpoint.provider().descriptor().id,
                "model": deployment.endpoint.wire_model(),
                "gate": format!("{:?}", deployment.breaker().peek(now)),
            })
        })
        .collect();
    Json(json!({ "deployments": list }))
}
