//! The state store from outside: the port's suite, sealed files, erasure, `kill -9`, and what it costs.

mod cost;
mod killed;
mod sealed;
#[path = "../../../../domain/tests/it/state_suite.rs"]
mod state_suite;

use std::path::Path;
use storage::{MasterKey, SqliteStateStore, StateSettings};

pub(crate) const KEY: &str = "6b6579206f6620746865207465737473206b6579206f66207468652074657374";

pub(crate) fn open(dir: &Path) -> SqliteStateStore {
    SqliteStateStore::open(settings(dir, KEY)).unwrap()
}

pub(crate) fn settings(dir: &Path, key: &str) -> StateSettings {
    StateSettings::new("local", dir.join("state.db"), MasterKey::parse(key).unwrap())
}

#[test]
fn it_does_what_every_state_store_must() {
    let folders = std::cell::RefCell::new(Vec::new());
    state_suite::all(|| {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        folders.borrow_mut().push(folder);
        store
    });
}
