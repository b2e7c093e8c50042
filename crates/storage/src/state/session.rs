//! One connection and the keys it has met: what readers and the writer share in code, never in memory.

use super::cipher::{DataKey, MasterKey};
use domain::{
    TenantId,
    state::{BODY_BYTES_MAX, Owner, StateError},
};
use rusqlite::{Connection, OptionalExtension, params};
use std::{
    cell::RefCell,
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Acquire},
    },
};

/// Data keys that one connection keeps open; at the bound it forgets them all and reads them anew.
const KEYS_MAX: usize = 4_096;

/// One connection with its keys.
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) master: Arc<MasterKey>,
    keys: RefCell<Keys>,
    /// Counts erasures: at a new number every session forgets its keys.
    erasures: Arc<AtomicU64>,
}

#[derive(Default)]
struct Keys {
    by_row: HashMap<i64, Arc<DataKey>>,
    by_owner: HashMap<(i64, Vec<u8>), Arc<DataKey>>,
    /// Made since the last [`Session::keep_new_keys`], to be forgotten where their rows are rolled back.
    made: Vec<(i64, Vec<u8>, i64)>,
    erasures: u64,
}

impl Session {
    pub(super) fn new(connection: Connection, master: Arc<MasterKey>, erasures: Arc<AtomicU64>) -> Self {
        connection.set_prepared_statement_cache_capacity(128);
        Self { connection, master, keys: RefCell::default(), erasures }
    }

    /// The row of a tenant; one that never wrote has none, and is looked for like any other.
    pub(super) fn tenant(&self, tenant: &TenantId) -> Result<i64, StateError> {
        let mut found =
            self.connection.prepare_cached("SELECT row FROM tenant WHERE name = ?1").map_err(sql)?;
        let row = found.query_row(params![tenant.as_str()], |row| row.get(0)).optional().map_err(sql)?;
        Ok(row.unwrap_or(0))
    }

    /// The row of a tenant, made where there is none.
    pub(super) fn tenant_or_new(&self, tenant: &TenantId) -> Result<i64, StateError> {
        match self.tenant(tenant)? {
            0 => {
                self.run("INSERT INTO tenant (name) VALUES (?1)", params![tenant.as_str()])?;
                Ok(self.connection.last_insert_rowid())
            }
            row => Ok(row),
        }
    }

    /// The key of an owner, made where there is none. For the writer.
    pub(super) fn key_for(&self, tenant: i64, owner: &Owner) -> Result<Arc<DataKey>, StateError> {
        let subject = self.master.subject(&owner.tenant, owner.subject.as_ref());
        self.forget_erased();
        if let Some(known) = self.keys.borrow().by_owner.get(&(tenant, subject.clone())) {
            return Ok(Arc::clone(known));
        }
        let place = key_place(tenant, &subject);
        let found: Option<(i64, Vec<u8>)> = self
            .connection
            .prepare_cached("SELECT row, wrapped FROM data_key WHERE tenant = ?1 AND subject = ?2")
            .map_err(sql)?
            .query_row(params![tenant, subject], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .map_err(sql)?;
        let made = found.is_none();
        let data = match found {
            Some((row, wrapped)) => DataKey { row, key: self.master.data_key(&place, &wrapped)? },
            None => {
                let (key, wrapped) = self.master.new_data_key(&place)?;
                let insert = "INSERT INTO data_key (tenant, subject, wrapped) VALUES (?1, ?2, ?3)";
                self.run(insert, params![tenant, subject, wrapped])?;
                DataKey { row: self.connection.last_insert_rowid(), key }
            }
        };
        let data = Arc::new(data);
        let mut keys = self.keys.borrow_mut();
        keys.bound();
        keys.by_row.insert(data.row, Arc::clone(&data));
        if made {
            keys.made.push((tenant, subject.clone(), data.row));
        }
        keys.by_owner.insert((tenant, subject), Arc::clone(&data));
        Ok(data)
    }

    /// The key of a row.
    pub(super) fn key(&self, row: i64) -> Result<Arc<DataKey>, StateError> {
        self.forget_erased();
        if let Some(known) = self.keys.borrow().by_row.get(&row) {
            return Ok(Arc::clone(known));
        }
        let found: Option<(i64, Vec<u8>, Vec<u8>)> = self
            .connection
            .prepare_cached("SELECT tenant, subject, wrapped FROM data_key WHERE row = ?1")
            .map_err(sql)?
            .query_row(params![row], |found| Ok((found.get(0)?, found.get(1)?, found.get(2)?)))
            .optional()
            .map_err(sql)?;
        let Some((tenant, subject, wrapped)) = found else {
            return Err(StateError::Unreadable("its key was destroyed".into()));
        };
        let key = self.master.data_key(&key_place(tenant, &subject), &wrapped)?;
        let data = Arc::new(DataKey { row, key });
        let mut keys = self.keys.borrow_mut();
        keys.bound();
        keys.by_row.insert(row, Arc::clone(&data));
        Ok(data)
    }

    /// The rows of new keys stand.
    pub(super) fn keep_new_keys(&self) {
        self.keys.borrow_mut().made.clear();
    }

    /// The rows of new keys were rolled back.
    pub(super) fn drop_new_keys(&self) {
        let mut keys = self.keys.borrow_mut();
        for (tenant, subject, row) in std::mem::take(&mut keys.made) {
            keys.by_owner.remove(&(tenant, subject));
            keys.by_row.remove(&row);
        }
    }

    /// Forgets every key.
    pub(super) fn forget_keys(&self) {
        *self.keys.borrow_mut() = Keys { erasures: self.erasures.load(Acquire), ..Keys::default() };
    }

    fn forget_erased(&self) {
        if self.keys.borrow().erasures != self.erasures.load(Acquire) {
            self.forget_keys();
        }
    }

    /// Runs one statement; returns how many rows it changed.
    pub(super) fn run(&self, text: &str, values: impl rusqlite::Params) -> Result<usize, StateError> {
        self.connection.prepare_cached(text).map_err(sql)?.execute(values).map_err(sql)
    }

    /// One number of one row; `None` where there is no row or nothing in it.
    pub(super) fn number(
        &self,
        text: &str,
        values: impl rusqlite::Params,
    ) -> Result<Option<i64>, StateError> {
        let mut statement = self.connection.prepare_cached(text).map_err(sql)?;
        statement
            .query_row(values, |row| row.get::<_, Option<i64>>(0))
            .optional()
            .map(Option::flatten)
            .map_err(sql)
    }

    /// Reads several statements of one moment.
    pub(super) fn at_one_moment<T>(
        &self,
        read: impl FnOnce(&Self) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        let transaction = self.connection.unchecked_transaction().map_err(sql)?;
        let answer = read(self);
        drop(transaction);
        answer
    }
}

impl Keys {
    fn bound(&mut self) {
        if self.by_row.len() >= KEYS_MAX {
            self.by_row.clear();
            self.by_owner.clear();
        }
    }
}

fn key_place(tenant: i64, subject: &[u8]) -> Vec<u8> {
    let mut place = format!("data key of {tenant}:").into_bytes();
    place.extend_from_slice(subject);
    place
}

/// Where a body belongs, for its seal.
pub(super) fn place(what: &str, id: &str) -> Vec<u8> {
    format!("{what} {id}").into_bytes()
}

/// Refuses a body above the bound.
pub(super) fn check_size(what: &'static str, body: &str) -> Result<(), StateError> {
    if body.len() > BODY_BYTES_MAX {
        return Err(StateError::TooLarge { what, max: BODY_BYTES_MAX as u64 });
    }
    Ok(())
}

/// What SQLite says, as the port says it.
#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` takes")]
pub(super) fn sql(error: rusqlite::Error) -> StateError {
    StateError::Broken(error.to_string().into())
}

/// A count or position as SQLite has it.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A count or position from SQLite.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
