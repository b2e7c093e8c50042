//! State in SQLite, in the same binary: the port `domain::state::StateStore` on one file, off the data threads.
//!
//! One process writes a file (a lock beside it sees to that); others may read it. Every answered change has been
//! flushed (WAL, `synchronous = FULL`, many changes to a flush). Content is sealed: in the files stand ids of
//! ours, order, dates and sizes, and nothing that anybody said.

mod cipher;
mod conversations;
mod schema;
mod session;
mod threads;
mod turns;
mod upkeep;
mod workers;

pub use cipher::{MasterKey, NotAMasterKey};

use domain::{
    ConversationId, ItemId, ResponseId, TenantId,
    state::{
        Answer, Context, ContextOf, ConversationRecord, Erase, ErasureReceipt, Kept, Leased, Listed, NewItem,
        Owner, Page, RecordedEvent, ResponseRecord, StateError, StateStore, StoredItem, StoredTurn, Turn,
    },
};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use session::Session;
use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::oneshot;
use workers::{Change, Committed, Counts, Workers};

/// Why a state store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenStateError {
    /// SQLite said no.
    #[error("the state database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// Files or threads.
    #[error("the state database: {0}")]
    Io(#[from] std::io::Error),
    /// The database was made by a newer binary.
    #[error("the state database has version {found}, this binary knows {known}: upgrade the binary")]
    Newer {
        /// In the file.
        found: i64,
        /// Of this binary.
        known: i64,
    },
    /// Another process has it.
    #[error("another process writes the state database {0}: stop it, or ask it through its admin listener")]
    InUse(PathBuf),
    /// It was made with another master key.
    #[error("the state database {0} was made with another state key: give it the key that it was made with")]
    OtherKey(PathBuf),
}

/// Where and how.
#[derive(Debug)]
pub struct StateSettings {
    /// The operator's name for the store.
    pub name: Box<str>,
    /// The database file; its folder exists.
    pub database: PathBuf,
    /// The key that wraps the data keys.
    pub master: MasterKey,
    /// Threads that read, at least one.
    pub readers: usize,
}

impl StateSettings {
    /// With three readers.
    #[must_use]
    pub fn new(name: &str, database: impl Into<PathBuf>, master: MasterKey) -> Self {
        Self { name: name.into(), database: database.into(), master, readers: 3 }
    }
}

/// How a store is doing, since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateStats {
    /// Changes made.
    pub changes: u64,
    /// Transactions that they took; each is one flush.
    pub transactions: u64,
    /// Transactions that failed.
    pub failures: u64,
}

/// A state store in an SQLite file. Dropped, it ends what is waiting and closes.
pub struct SqliteStateStore {
    name: Arc<str>,
    workers: Workers,
    counts: Arc<Counts>,
    _lock: Option<File>,
}

/// How long a connection waits for another's lock.
const BUSY: Duration = Duration::from_secs(30);

impl SqliteStateStore {
    /// Opens or makes a store, to read and write. Leases and runners of the process before are void.
    ///
    /// # Errors
    /// [`OpenStateError`]
    pub fn open(settings: StateSettings) -> Result<Self, OpenStateError> {
        let path = settings.database.clone();
        let lock = lock(&path)?;
        let master = Arc::new(settings.master);
        let erasures = Arc::new(AtomicU64::new(0));
        let mut connection = Connection::open(&path)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "secure_delete", "ON")?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "cache_size", -32_768)?;
        // A larger log means fewer, larger copies of it into the database; 4,096 pages are 16 MiB.
        connection.pragma_update(None, "wal_autocheckpoint", 4_096)?;
        schema::migrate(&mut connection)?;
        check_key(&connection, &master, &path)?;
        connection.execute("UPDATE thread SET lease_until_us = 0 WHERE lease_until_us > 0", [])?;
        connection.execute("UPDATE response SET runner_until_us = 0 WHERE status < 2", [])?;
        let readers = (0..settings.readers.max(1))
            .map(|_| reader(&path, &master, &erasures))
            .collect::<Result<Vec<_>, _>>()?;
        let writer = Session::new(connection, master, Arc::clone(&erasures));
        Self::start(&settings.name, Some(writer), readers, erasures, Some(lock))
    }

    /// Opens an existing store to read only, beside a gateway that writes it.
    ///
    /// # Errors
    /// [`OpenStateError`], also where there is no database.
    pub fn open_read_only(settings: StateSettings) -> Result<Self, OpenStateError> {
        let path = settings.database.clone();
        let master = Arc::new(settings.master);
        let erasures = Arc::new(AtomicU64::new(0));
        let session = reader(&path, &master, &erasures)?;
        let found = schema::version(&session.connection)?;
        if found != schema::VERSION {
            return Err(OpenStateError::Newer { found, known: schema::VERSION });
        }
        check_key(&session.connection, &master, &path)?;
        Self::start(&settings.name, None, vec![session], erasures, None)
    }

    fn start(
        name: &str,
        writer: Option<Session>,
        readers: Vec<Session>,
        erasures: Arc<AtomicU64>,
        lock: Option<File>,
    ) -> Result<Self, OpenStateError> {
        let counts = Arc::new(Counts::default());
        let workers = Workers::start(writer, readers, erasures, Arc::clone(&counts))?;
        Ok(Self { name: name.into(), workers, counts, _lock: lock })
    }

    /// How it is doing.
    #[must_use]
    pub fn stats(&self) -> StateStats {
        StateStats {
            changes: self.counts.changes.load(Relaxed),
            transactions: self.counts.transactions.load(Relaxed),
            failures: self.counts.failures.load(Relaxed),
        }
    }

    fn change<T: Send + 'static>(
        &self,
        make: impl FnOnce(&Session) -> Result<T, StateError> + Send + 'static,
    ) -> Answer<'_, T> {
        self.change_and(false, make, |done, _| done)
    }

    fn change_and<T: Send + 'static>(
        &self,
        empties_log: bool,
        make: impl FnOnce(&Session) -> Result<T, StateError> + Send + 'static,
        finish: impl FnOnce(T, bool) -> T + Send + 'static,
    ) -> Answer<'_, T> {
        let (tell, told) = oneshot::channel();
        let make = Box::new(move |session: &Session| -> (bool, workers::Tell) {
            let made = make(session);
            let done = made.is_ok();
            let answer = move |ended: &Committed| {
                let result = match (made, ended) {
                    (Ok(value), Ok(emptied)) => Ok(finish(value, *emptied)),
                    (Ok(_), Err(error)) => Err(error.clone()),
                    (Err(error), _) => Err(error),
                };
                // Whoever asked may have left; the change stands all the same.
                let _left = tell.send(result);
            };
            (done, Box::new(answer))
        });
        let handed = self.workers.change(Change { make, empties_log });
        Box::pin(async move {
            handed?;
            told.await.unwrap_or_else(|_| Err(StateError::Broken("it could not write".into())))
        })
    }

    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Session) -> Result<T, StateError> + Send + 'static,
    ) -> Answer<'_, T> {
        let (tell, told) = oneshot::channel();
        let handed = self.workers.read(Box::new(move |session| {
            let _left = tell.send(session.at_one_moment(read));
        }));
        Box::pin(async move {
            handed?;
            told.await.unwrap_or_else(|_| Err(workers::stopped()))
        })
    }
}

fn lock(path: &Path) -> Result<File, OpenStateError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock = File::options().create(true).truncate(false).write(true).open(name)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenStateError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

fn reader(
    path: &Path,
    master: &Arc<MasterKey>,
    erasures: &Arc<AtomicU64>,
) -> Result<Session, OpenStateError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    Ok(Session::new(connection, Arc::clone(master), Arc::clone(erasures)))
}

/// A database knows its master key again; a new one learns it.
fn check_key(connection: &Connection, master: &MasterKey, path: &Path) -> Result<(), OpenStateError> {
    let found: Option<Vec<u8>> =
        connection.query_row("SELECT master FROM store", [], |row| row.get(0)).optional()?;
    match found {
        Some(found) if found == master.check() => Ok(()),
        Some(_) => Err(OpenStateError::OtherKey(path.to_owned())),
        None => {
            connection.execute("INSERT INTO store VALUES (1, ?1)", params![master.check().as_slice()])?;
            Ok(())
        }
    }
}

impl StateStore for SqliteStateStore {
    fn name(&self) -> &str {
        &self.name
    }

    fn commit(&self, turn: Turn) -> Answer<'_, Kept> {
        self.change(move |session| session.commit(&turn))
    }

    fn response(&self, tenant: &TenantId, id: &ResponseId) -> Answer<'_, Option<ResponseRecord>> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.read(move |session| session.response(&tenant, &id))
    }

    fn delete_response(&self, tenant: &TenantId, id: &ResponseId) -> Answer<'_, bool> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.change(move |session| session.delete_response(session.tenant(&tenant)?, &id))
    }

    fn input_items(&self, tenant: &TenantId, id: &ResponseId, page: Page) -> Answer<'_, Listed> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.read(move |session| session.input_items(&tenant, &id, &page))
    }

    fn turn(&self, tenant: &TenantId, id: &ResponseId) -> Answer<'_, Option<StoredTurn>> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.read(move |session| session.turn(&tenant, &id))
    }

    fn responses(
        &self,
        tenant: &TenantId,
        after: Option<ResponseId>,
        limit: u32,
    ) -> Answer<'_, Vec<ResponseRecord>> {
        let tenant = tenant.clone();
        self.read(move |session| session.responses(&tenant, after.as_ref(), limit))
    }

    fn keep_alive(&self, tenant: &TenantId, id: &ResponseId, until_us: i64) -> Answer<'_, bool> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.change(move |session| session.keep_alive(session.tenant(&tenant)?, &id, until_us))
    }

    fn abandoned(&self, now_us: i64, limit: u32) -> Answer<'_, Vec<(TenantId, ResponseRecord)>> {
        self.read(move |session| session.abandoned(now_us, limit))
    }

    fn append_events(
        &self,
        tenant: &TenantId,
        id: &ResponseId,
        events: Vec<RecordedEvent>,
    ) -> Answer<'_, ()> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.change(move |session| session.append_events(session.tenant(&tenant)?, &id, &events))
    }

    fn events(
        &self,
        tenant: &TenantId,
        id: &ResponseId,
        after: Option<u64>,
        limit: u32,
    ) -> Answer<'_, Vec<RecordedEvent>> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.read(move |session| session.events(&tenant, &id, after, limit))
    }

    fn context(&self, tenant: &TenantId, of: ContextOf) -> Answer<'_, Option<Context>> {
        let tenant = tenant.clone();
        self.read(move |session| session.context(&tenant, &of))
    }

    fn create_conversation(
        &self,
        owner: Owner,
        record: ConversationRecord,
        items: Vec<NewItem>,
    ) -> Answer<'_, ()> {
        self.change(move |session| session.create_conversation(&owner, &record, &items))
    }

    fn conversation(&self, tenant: &TenantId, id: &ConversationId) -> Answer<'_, Option<ConversationRecord>> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.read(move |session| session.conversation(&tenant, &id))
    }

    fn conversations(
        &self,
        tenant: &TenantId,
        after: Option<ConversationId>,
        limit: u32,
    ) -> Answer<'_, Vec<ConversationRecord>> {
        let tenant = tenant.clone();
        self.read(move |session| session.conversations(&tenant, after.as_ref(), limit))
    }

    fn update_conversation(&self, tenant: &TenantId, record: ConversationRecord) -> Answer<'_, bool> {
        let tenant = tenant.clone();
        self.change(move |session| session.update_conversation(session.tenant(&tenant)?, &record))
    }

    fn delete_conversation(&self, tenant: &TenantId, id: &ConversationId) -> Answer<'_, bool> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.change(move |session| session.delete_conversation(session.tenant(&tenant)?, &id))
    }

    fn fork(
        &self,
        tenant: &TenantId,
        from: ContextOf,
        through: Option<ItemId>,
        record: ConversationRecord,
        owner: Owner,
    ) -> Answer<'_, ()> {
        let owner = Owner { tenant: tenant.clone(), ..owner };
        self.change(move |session| session.fork(&from, through.as_ref(), &record, &owner))
    }

    fn items(&self, tenant: &TenantId, id: &ConversationId, page: Page) -> Answer<'_, Listed> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.read(move |session| session.items(&tenant, &id, &page))
    }

    fn item(&self, tenant: &TenantId, id: &ConversationId, item: &ItemId) -> Answer<'_, Option<StoredItem>> {
        let (tenant, id, item) = (tenant.clone(), id.clone(), item.clone());
        self.read(move |session| session.item(&tenant, &id, &item))
    }

    fn add_items(
        &self,
        owner: Owner,
        id: &ConversationId,
        fence: u64,
        items: Vec<NewItem>,
    ) -> Answer<'_, Vec<StoredItem>> {
        let id = id.clone();
        self.change(move |session| session.add_items(&owner, &id, fence, &items))
    }

    fn delete_item(&self, tenant: &TenantId, id: &ConversationId, item: &ItemId) -> Answer<'_, bool> {
        let (tenant, id, item) = (tenant.clone(), id.clone(), item.clone());
        self.change(move |session| session.delete_item(session.tenant(&tenant)?, &id, &item))
    }

    fn lease(
        &self,
        tenant: &TenantId,
        id: &ConversationId,
        now_us: i64,
        until_us: i64,
    ) -> Answer<'_, Leased> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.change(move |session| session.lease(session.tenant(&tenant)?, &id, now_us, until_us))
    }

    fn renew(&self, tenant: &TenantId, id: &ConversationId, fence: u64, until_us: i64) -> Answer<'_, ()> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.change(move |session| session.renew(session.tenant(&tenant)?, &id, fence, until_us))
    }

    fn release(&self, tenant: &TenantId, id: &ConversationId, fence: u64) -> Answer<'_, ()> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.change(move |session| session.release(session.tenant(&tenant)?, &id, fence))
    }

    fn expire(&self, now_us: i64, limit: u32) -> Answer<'_, u64> {
        self.change(move |session| session.expire(now_us, limit))
    }

    fn erase(&self, tenant: &TenantId, what: Erase, at_us: i64) -> Answer<'_, ErasureReceipt> {
        let (tenant, store) = (tenant.clone(), Arc::clone(&self.name));
        self.change_and(
            true,
            move |session| session.erase(&store, &tenant, &what, at_us),
            |mut receipt, emptied| {
                receipt.log_emptied = emptied;
                receipt
            },
        )
    }
}
