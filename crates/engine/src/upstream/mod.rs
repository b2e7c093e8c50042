//! The way to an upstream: connections of our own over hyper's HTTP/1.1, pooled per identity.
//!
//! Why an own pool: a connection is *driven by the call that uses it*, not by a spawned task. Dropping the
//! call drops the connection and closes the socket at once, also while the upstream is silent, and no byte
//! crosses a task boundary on its way. A connection goes back to the pool only when its answer was read to
//! the end. HTTP/2 comes when a measurement asks for it.

mod connect;
mod driver;
mod exchange;
mod pieces;
mod pool;
mod proxy;
mod tls;

pub use connect::{ConnectFault, ConnectSettings};
pub use exchange::{Answer, AnswerBody};
pub use pieces::Pieces;
pub use pool::{Pool, PoolKey, PoolLimits, PoolRegistry};
pub use proxy::{ProxyRule, ProxyRuleError};
pub(crate) use tls::TlsIdentities;
pub use tls::{TlsError, TlsIdentity, TlsSettings};
