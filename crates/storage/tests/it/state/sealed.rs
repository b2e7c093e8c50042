//! What stands in the files: nothing that anybody said, and nothing at all of what was erased.

use super::{
    KEY, open, settings,
    state_suite::{after, owner, tenant, turn, wait},
};
use domain::{
    ConversationId, ResponseId, SubjectId,
    state::{
        Base, ContextOf, ConversationRecord, Erase, NewItem, RecordedEvent, StateError, StateStore, Status,
        Turn,
    },
};
use std::path::Path;
use storage::{OpenStateError, SqliteStateStore};

const CANARY: &str = "canary-7f3a9c-sings";

/// Every byte of every file in a folder.
fn bytes(dir: &Path) -> Vec<(String, Vec<u8>)> {
    std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
        .collect()
}

fn stands_in(dir: &Path, needle: &[u8]) -> Vec<String> {
    let files = bytes(dir).into_iter();
    files.filter(|(_, bytes)| memchr::memmem::find(bytes, needle).is_some()).map(|(name, _)| name).collect()
}

fn with_canary(id: &str, base: Base, subject: &str) -> Turn {
    let mut made = turn(id, base, &["in"], &["out"]);
    made.owner = owner("acme", Some(subject));
    let body = format!("{{\"says\":\"{CANARY}\",\"filler\":\"{}\"}}", "x".repeat(6_000));
    made.input[0].body = body.as_str().into();
    made.output[0].body = body.as_str().into();
    made.response.body = body.as_str().into();
    made
}

#[test]
fn nothing_that_anybody_said_stands_in_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut running = with_canary("r1", Base::Fresh, CANARY);
    running.response.status = Status::InProgress;
    wait(store.commit(running)).unwrap();
    wait(store.commit(with_canary("r1", Base::Fresh, CANARY))).unwrap();
    let record = ConversationRecord {
        id: ConversationId::new("c1"),
        body: CANARY.into(),
        created_us: 0,
        expires_us: None,
    };
    let item = NewItem { id: "m".into(), body: CANARY.into(), opens_context: false };
    wait(store.create_conversation(owner("acme", None), record, vec![item])).unwrap();
    let event = RecordedEvent { sequence: 0, body: CANARY.into() };
    wait(store.append_events(&tenant("acme"), &ResponseId::new("r1"), vec![event])).unwrap();
    assert!(bytes(dir.path()).iter().any(|(name, bytes)| name.ends_with("-wal") && !bytes.is_empty()));
    assert_eq!(stands_in(dir.path(), CANARY.as_bytes()), [""; 0], "with the log");
    drop(store);
    assert_eq!(stands_in(dir.path(), CANARY.as_bytes()), [""; 0], "after closing");
    let store = open(dir.path());
    let found = wait(store.context(&tenant("acme"), ContextOf::Response(ResponseId::new("r1"))));
    assert!(found.unwrap().unwrap().items[0].body.contains(CANARY), "and yet it is there");
}

#[test]
fn what_is_erased_stands_nowhere_sealed_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    wait(store.commit(with_canary("r1", Base::Fresh, "ann"))).unwrap();
    wait(store.commit(with_canary("r2", after("r1"), "ann"))).unwrap();
    wait(store.commit(with_canary("r3", Base::Fresh, "bob"))).unwrap();
    // The sealed bodies and wrapped keys as they lie in the database, read by another connection.
    let reader = rusqlite::Connection::open(dir.path().join("state.db")).unwrap();
    let blobs = |text: &str| -> Vec<Vec<u8>> {
        let mut statement = reader.prepare(text).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let anns = blobs(
        "SELECT body FROM item WHERE key = (SELECT key FROM response WHERE id = 'r1')
         UNION ALL SELECT body FROM response WHERE id IN ('r1', 'r2')
         UNION ALL SELECT wrapped FROM data_key WHERE row = (SELECT key FROM response WHERE id = 'r1')",
    );
    let bobs = blobs("SELECT body FROM response WHERE id = 'r3'");
    drop(reader);
    // The middle of a body may lie across two pages; its first bytes lie in one.
    let mark = |blob: &Vec<u8>| blob[..blob.len().min(40)].to_vec();
    assert_eq!(anns.len(), 4 + 2 + 1);
    for blob in &anns {
        assert!(!stands_in(dir.path(), &mark(blob)).is_empty(), "it stood there before");
    }
    let receipt = wait(store.erase(&tenant("acme"), Erase::Subject(SubjectId::new("ann")), 42)).unwrap();
    assert_eq!((receipt.responses, receipt.items, receipt.keys_destroyed), (2, 4, 1));
    assert!(receipt.log_emptied);
    assert_eq!((receipt.ids_digest.len(), receipt.subject_digest.len()), (64, 32));
    assert_eq!(&*receipt.store, "local");
    for blob in &anns {
        assert_eq!(stands_in(dir.path(), &mark(blob)), [""; 0]);
    }
    assert_eq!(stands_in(dir.path(), b"-wal").len(), 0);
    assert!(!stands_in(dir.path(), &mark(&bobs[0])).is_empty(), "another subject's stands");
    let context = wait(store.context(&tenant("acme"), ContextOf::Response(ResponseId::new("r3"))));
    assert!(context.unwrap().unwrap().items[0].body.contains(CANARY));
}

#[test]
fn another_key_a_second_process_and_a_newer_file_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    wait(store.commit(with_canary("r1", Base::Fresh, "ann"))).unwrap();
    let second = SqliteStateStore::open(settings(dir.path(), KEY));
    assert!(matches!(second, Err(OpenStateError::InUse(_))));
    // Beside it one may read.
    let beside = SqliteStateStore::open_read_only(settings(dir.path(), KEY)).unwrap();
    assert!(wait(beside.response(&tenant("acme"), &ResponseId::new("r1"))).unwrap().is_some());
    let write = wait(beside.delete_response(&tenant("acme"), &ResponseId::new("r1")));
    assert!(matches!(write, Err(StateError::Broken(why)) if why.contains("read only")));
    drop((store, beside));
    let other = KEY.replace('6', "7");
    assert!(matches!(SqliteStateStore::open(settings(dir.path(), &other)), Err(OpenStateError::OtherKey(_))));
    let connection = rusqlite::Connection::open(dir.path().join("state.db")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let newer = SqliteStateStore::open(settings(dir.path(), KEY));
    assert!(matches!(newer, Err(OpenStateError::Newer { found: 99, .. })));
}

#[test]
fn a_changed_or_moved_body_is_not_taken_for_the_real_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    wait(store.commit(turn("r1", Base::Fresh, &["a"], &["b"]))).unwrap();
    drop(store);
    let connection = rusqlite::Connection::open(dir.path().join("state.db")).unwrap();
    connection
        .execute("UPDATE item SET body = (SELECT body FROM item WHERE id = 'b') WHERE id = 'a'", [])
        .unwrap();
    drop(connection);
    let store = open(dir.path());
    let found = wait(store.context(&tenant("acme"), ContextOf::Response(ResponseId::new("r1"))));
    assert!(matches!(found, Err(StateError::Unreadable(_))), "{found:?}");
}

#[test]
fn what_is_too_large_is_refused_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut huge = turn("r1", Base::Fresh, &["a"], &["b"]);
    huge.input[0].body = "x".repeat(domain::state::BODY_BYTES_MAX + 1).into();
    assert!(matches!(wait(store.commit(huge)), Err(StateError::TooLarge { what: "an item", .. })));
    assert_eq!(wait(store.response(&tenant("acme"), &ResponseId::new("r1"))), Ok(None));
    wait(store.commit(turn("r1", Base::Fresh, &["a"], &["b"]))).unwrap();
}
