//! Gateways with another journal than the binary's, in a process of their own: this same executable, told by the
//! environment what to be.

use config::{Process, Shipped, Sources, Text};
use domain::{
    Clock,
    journal::{Journal, JournalError, Permit, Ticket},
    record::Record,
};
use engine::{Engine, EngineSettings};
use jiff::Timestamp;
use ledger::Catalog;
use server::{Listener, ServerSettings};
use std::{
    path::Path,
    process::Command,
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};
use storage::{FileJournal, JournalSettings};

/// What stands between the engine and the journal's file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Control {
    /// Nothing.
    Sound,
    /// Every record is written a little later, by another thread: after the answer.
    Late,
    /// A short queue before a slow disk; what does not fit is dropped.
    Dropping,
}

/// How much later [`Control::Late`] writes.
const LATE: Duration = Duration::from_millis(10);
/// Records that may wait in [`Control::Dropping`].
const QUEUE: usize = 4;
/// How long a write takes in [`Control::Dropping`], like a disk that is busy.
const SLOW: Duration = Duration::from_millis(1);
/// Tells this executable to be a gateway with that control.
const VARIABLE: &str = "CABOTAGE_TEST_CONTROL";

const FACTS: (&str, &str) = ("catalog/facts.toml", include_str!("../../../../../catalog/facts.toml"));
const PRICES: &str = include_str!("../../../../../catalog/prices.jsonl");

impl Control {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Late => "late",
            Self::Dropping => "dropping",
        }
    }

    /// This executable as a gateway with the configuration `cabotage.toml` of `dir`.
    pub(super) fn command(self, dir: &Path) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.current_dir(dir).env_clear().env(VARIABLE, self.name());
        command.args(["--exact", "kill9::control::gateway", "--ignored", "--nocapture"]);
        command
    }

    fn journal(self, file: FileJournal) -> Arc<dyn Journal> {
        let (send, receive) = match self {
            Self::Sound => return Arc::new(file),
            Self::Late => sync_channel::<(Instant, Record)>(100_000),
            Self::Dropping => sync_channel(QUEUE),
        };
        let writer = file.clone();
        std::thread::spawn(move || {
            for (made, record) in receive {
                match self {
                    Self::Late => std::thread::sleep(LATE.saturating_sub(made.elapsed())),
                    _ => std::thread::sleep(SLOW),
                }
                writer.append(&record).unwrap();
            }
        });
        Arc::new(Queued { file, send })
    }
}

/// A journal that says yes before it has written.
struct Queued {
    file: FileJournal,
    send: SyncSender<(Instant, Record)>,
}

impl Journal for Queued {
    fn admit(&self) -> Result<Permit, JournalError> {
        self.file.admit()
    }

    fn append(&self, record: &Record) -> Result<Ticket, JournalError> {
        let _dropped_where_full = self.send.try_send((Instant::now(), record.clone()));
        Ok(Ticket::written(0))
    }
}

struct RealClock(Instant);

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

#[test]
#[ignore = "no test but a process of the tests in `kill9`"]
fn gateway() {
    let told = std::env::var(VARIABLE).unwrap_or_default();
    let controls = [Control::Sound, Control::Late, Control::Dropping];
    let Some(control) = controls.into_iter().find(|control| control.name() == told) else { return };
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let text = std::fs::read_to_string("cabotage.toml").unwrap();
    let shipped = Shipped { facts: FACTS, packs: &[], optional: &[] };
    let checked = config::check(Text { file: Path::new("cabotage.toml"), text: &text }, shipped, &Process);
    let checked = checked.unwrap_or_else(|problems| panic!("{problems}"));
    let clock: Arc<dyn Clock> = Arc::new(RealClock(Instant::now()));
    let dir = &checked.journal.dir;
    std::fs::create_dir_all(dir).unwrap();
    // As the binary lays it out, so that the binary can go on with it.
    let log = "cabotage/control";
    std::fs::write(dir.join("log-id"), log).unwrap();
    let settings = JournalSettings::new(dir.join("journal"), log);
    let (file, _) = FileJournal::open(settings, clock.now().as_microsecond()).unwrap();
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&std::process::id().to_le_bytes());
    let engine = Engine::new(EngineSettings {
        clock: Arc::clone(&clock),
        journal: control.journal(file),
        max_buffered: checked.limits.buffered,
        seed,
    });
    let sources = Sources::new(Catalog::parse(PRICES).unwrap(), clock);
    engine.load(config::build(&checked, &sources, engine.next_epoch()).unwrap()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let listener = Listener::bind(checked.listen.data, ServerSettings::default()).await.unwrap();
        eprintln!("callers:        http://{}/v1", listener.address().unwrap());
        listener.serve(engine, None, std::future::pending()).await;
    });
}
