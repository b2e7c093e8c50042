//! Black-box tests of the data plane: the real listener and engine, simulated clouds, a journal in memory. What the
//! clouds saw, by their own journal, is the oracle.

mod bad_input;
mod cancel;
mod chat;
mod embeddings;
mod failover;
mod faults;
mod gateway;
mod raw;
mod secrets;
mod wire;
