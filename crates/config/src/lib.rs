//! Text → checked snapshot: the configuration file, the environment, packs, facts and prices, with every error
//! at once, each with file, line, column and a hint.
//!
//! Start reading at [`check()`]. `raw` is what is written, [`checked`] what is meant, [`mod@build`] what the engine
//! takes; [`mod@schema`] is the published JSON Schema, and `shape` checks texts against it; [`environment`] makes
//! a configuration of the provider keys in the environment where no file is given.

pub mod build;
mod check;
pub mod checked;
mod document;
pub mod environment;
mod raw;
pub mod schema;
mod shape;
pub mod surroundings;
mod units;

pub use build::{BuildError, Sources, build};
pub use check::{Shipped, Text, check};
pub use checked::Checked;
pub use placement::{Problem, Problems};
pub use surroundings::{Imagined, Process, Surroundings};
