//! Black-box tests of the engine: real sockets, simulated clouds, a journal in memory.

mod upstream;
