//! The data plane's rim: hyper, one file per client API, caller authentication. Everything that decides is in
//! `engine`; everything that knows a wire format is in `dialects`. Start reading at [`routes`].

mod answer;
mod body;
mod caller_key;
mod listener;
mod routes;
mod stage;
mod state;

pub use listener::{Listener, ListenerError, ServerSettings};
pub use state::StateSide;
