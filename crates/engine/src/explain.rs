//! Asking without calling: where would it run, and why nowhere else.
