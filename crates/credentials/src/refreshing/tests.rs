//! The rules of renewal, each with a source that does what the test says.

use super::*;
use domain::ManualClock;
use jiff::Timestamp;
use std::sync::{
    Mutex as StdMutex,
    atomic::{AtomicU32, Ordering::SeqCst},
};

const HOUR: Duration = Duration::from_secs(3600);

/// Gives `t1`, `t2` … with a life; fails while told to; takes a while.
#[derive(Default)]
struct Fake {
    calls: AtomicU32,
    failing: AtomicBool,
    same_again: AtomicBool,
    endless: bool,
    slow: Duration,
    look_again: Option<Duration>,
    keep_for: Option<Duration>,
    refusals: StdMutex<Vec<bool>>,
}

struct Shared(Arc<Fake>, Arc<ManualClock>);

impl Obtain for Shared {
    fn name(&self) -> &str {
        "fake"
    }

    async fn obtain(&self, refused: bool) -> Result<Obtained, Fault> {
        let Self(fake, clock) = self;
        let call = fake.calls.fetch_add(1, SeqCst) + 1;
        fake.refusals.lock().unwrap().push(refused);
        tokio::time::sleep(fake.slow).await;
        if fake.failing.load(SeqCst) {
            return Err(fault(&format!("failure {call}")));
        }
        let value = if fake.same_again.load(SeqCst) { "same".into() } else { format!("t{call}") };
        let expires_at = (!fake.endless).then(|| clock.now() + HOUR);
        Ok(Obtained {
            secret: Secret::Token { value: value.into(), expires_at },
            look_again: fake.look_again,
            keep_for: fake.keep_for,
        })
    }
}

fn source(fake: Fake) -> (Arc<Refreshing<Shared>>, Arc<Fake>, Arc<ManualClock>) {
    let start: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
    let (fake, clock) = (Arc::new(fake), Arc::new(ManualClock::at(start)));
    let shared = Shared(Arc::clone(&fake), Arc::clone(&clock));
    let source =
        Refreshing::bounded(shared, Arc::clone(&clock) as Arc<dyn Clock>, Duration::from_millis(200));
    (Arc::new(source), fake, clock)
}

fn token(secret: &Secret) -> String {
    let Secret::Token { value, .. } = secret else { panic!("a token") };
    value.to_string()
}

/// Lets background tasks run until `done`, at most a second.
async fn until(done: impl Fn() -> bool) {
    for _ in 0..1000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("nothing happened");
}

#[tokio::test]
async fn nothing_runs_before_the_first_use() {
    let (source, fake, _) = source(Fake::default());
    assert!(source.current().is_none());
    assert_eq!(fake.calls.load(SeqCst), 0);
    assert_eq!(token(&source.fetch().await.unwrap()), "t1");
    assert_eq!(token(&source.current().unwrap()), "t1");
    assert_eq!(token(&source.fetch().await.unwrap()), "t1");
    assert_eq!(fake.calls.load(SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_fetch_serves_all_who_wait() {
    let (source, fake, _) = source(Fake { slow: Duration::from_millis(30), ..Fake::default() });
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let source = Arc::clone(&source);
            tokio::spawn(async move { token(&source.fetch().await.unwrap()) })
        })
        .collect();
    for one in waiting {
        assert_eq!(one.await.unwrap(), "t1");
    }
    assert_eq!(fake.calls.load(SeqCst), 1);
}

#[tokio::test]
async fn a_caller_who_leaves_does_not_break_the_fetch_off() {
    let (source, fake, _) = source(Fake { slow: Duration::from_millis(30), ..Fake::default() });
    let left = tokio::time::timeout(Duration::from_millis(5), source.fetch()).await;
    assert!(left.is_err());
    until(|| source.current().is_some()).await;
    assert_eq!(fake.calls.load(SeqCst), 1);
}

#[tokio::test]
async fn renewed_at_80_percent_of_its_life_while_the_old_one_serves() {
    let (source, fake, clock) = source(Fake { slow: Duration::from_millis(5), ..Fake::default() });
    source.fetch().await.unwrap();
    clock.advance(HOUR * 79 / 100);
    assert_eq!(token(&source.current().unwrap()), "t1");
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(fake.calls.load(SeqCst), 1, "too early");
    clock.advance(HOUR / 100);
    for _ in 0..50 {
        assert_eq!(token(&source.current().unwrap()), "t1", "the old one serves meanwhile");
    }
    until(|| source.current().is_some_and(|secret| token(&secret) == "t2")).await;
    assert_eq!(fake.calls.load(SeqCst), 2, "renewed once");
}

#[tokio::test]
async fn a_renewal_that_fails_leaves_the_old_one_until_it_ends() {
    let (source, fake, clock) = source(Fake::default());
    source.fetch().await.unwrap();
    fake.failing.store(true, SeqCst);
    clock.advance(HOUR * 90 / 100);
    assert_eq!(token(&source.fetch().await.unwrap()), "t1");
    until(|| fake.calls.load(SeqCst) == 2 && !source.inner.renewing.load(SeqCst)).await;
    // Within the wait nobody asks again.
    for _ in 0..10 {
        assert_eq!(token(&source.fetch().await.unwrap()), "t1");
        until(|| !source.inner.renewing.load(SeqCst)).await;
    }
    assert_eq!(fake.calls.load(SeqCst), 2);
    clock.advance(HOUR * 10 / 100);
    assert!(source.current().is_none(), "it has ended");
    let error = source.fetch().await.unwrap_err();
    assert_eq!(error.code, domain::Code::UpstreamAuth);
    assert_eq!(error.source, domain::Source::Gateway);
    assert!(error.counts_against_health);
    assert!(!error.message.contains("failure") && error.detail.unwrap().contains("failure 3"));
}

#[tokio::test]
async fn failures_wait_twice_as_long_each_time_up_to_a_minute() {
    let (source, fake, clock) = source(Fake { failing: AtomicBool::new(true), ..Fake::default() });
    let mut asked = 0;
    for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
        asked += 1;
        source.fetch().await.unwrap_err();
        assert_eq!(fake.calls.load(SeqCst), asked);
        clock.advance(Duration::from_millis(wait * 1000 - 1));
        let at_once = source.fetch().await.unwrap_err();
        assert_eq!(at_once.detail.as_deref(), Some(format!("failure {asked}").as_str()));
        assert_eq!(fake.calls.load(SeqCst), asked, "asked before {wait} s were over");
        clock.advance(Duration::from_millis(1));
    }
    fake.failing.store(false, SeqCst);
    source.fetch().await.unwrap();
    clock.advance(HOUR);
    fake.failing.store(true, SeqCst);
    let before = fake.calls.load(SeqCst);
    source.fetch().await.unwrap_err();
    clock.advance(Duration::from_secs(1));
    source.fetch().await.unwrap_err();
    assert_eq!(fake.calls.load(SeqCst), before + 2, "a success forgets the failures before it");
}

#[tokio::test]
async fn a_refused_secret_is_renewed_once_for_all_who_were_refused() {
    let (source, fake, clock) = source(Fake { slow: Duration::from_millis(5), ..Fake::default() });
    let first = source.fetch().await.unwrap();
    clock.advance(Duration::from_secs(60));
    let (one, two, three) =
        tokio::join!(source.refresh(&first), source.refresh(&first), source.refresh(&first));
    let one = one.unwrap();
    assert_eq!(token(&one), "t2");
    assert!(Arc::ptr_eq(&one, &two.unwrap()) && Arc::ptr_eq(&one, &three.unwrap()));
    assert_eq!(*fake.refusals.lock().unwrap(), [false, true]);
    // The upstream refuses the new one at once as well: that is no matter of age.
    let error = source.refresh(&one).await.unwrap_err();
    assert!(error.detail.unwrap().contains("a moment ago"));
    assert_eq!(fake.calls.load(SeqCst), 2);
    clock.advance(REFUSED_GAP);
    assert_eq!(token(&source.refresh(&one).await.unwrap()), "t3");
}

#[tokio::test]
async fn a_source_that_gives_the_refused_secret_again_is_no_help() {
    let (source, _, clock) = source(Fake { same_again: AtomicBool::new(true), ..Fake::default() });
    let first = source.fetch().await.unwrap();
    clock.advance(Duration::from_secs(60));
    let error = source.refresh(&first).await.unwrap_err();
    assert!(error.detail.unwrap().contains("gives no other"));
}

#[tokio::test]
async fn a_secret_without_an_end_is_looked_at_again_and_kept_when_that_fails() {
    let look_again = Some(Duration::from_secs(30));
    let (source, fake, clock) = source(Fake { endless: true, look_again, ..Fake::default() });
    source.fetch().await.unwrap();
    clock.advance(Duration::from_secs(30));
    source.current().unwrap();
    until(|| source.current().is_some_and(|secret| token(&secret) == "t2")).await;
    fake.failing.store(true, SeqCst);
    clock.advance(HOUR * 1000);
    assert_eq!(token(&source.fetch().await.unwrap()), "t2", "the last good one stays");
}

#[tokio::test]
async fn a_secret_without_an_end_is_kept_no_longer_than_its_source_says() {
    let (look_again, keep_for) = (Some(Duration::from_secs(30)), Some(Duration::from_secs(300)));
    let (source, fake, clock) = source(Fake { endless: true, look_again, keep_for, ..Fake::default() });
    source.fetch().await.unwrap();
    fake.failing.store(true, SeqCst);
    clock.advance(Duration::from_secs(299));
    source.fetch().await.unwrap();
    until(|| fake.calls.load(SeqCst) == 2 && !source.inner.renewing.load(SeqCst)).await;
    clock.advance(Duration::from_secs(1));
    assert!(source.current().is_none());
}

#[tokio::test]
async fn a_source_that_hangs_is_given_up() {
    let (source, _, _) = source(Fake { slow: HOUR, ..Fake::default() });
    let error = source.fetch().await.unwrap_err();
    assert!(error.detail.unwrap().contains("in time"));
}

#[tokio::test]
async fn a_leap_of_the_wall_clock_neither_ends_nor_prolongs_a_secret() {
    let (source, fake, clock) = source(Fake::default());
    source.fetch().await.unwrap();
    clock.set("2030-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(token(&source.current().unwrap()), "t1");
    clock.set("2020-01-01T00:00:00Z".parse().unwrap());
    clock.advance(HOUR);
    assert!(source.current().is_none());
    assert_eq!(fake.calls.load(SeqCst), 1);
}

#[tokio::test]
async fn nothing_of_the_secret_shows() {
    let (source, _, _) = source(Fake::default());
    source.fetch().await.unwrap();
    assert!(!format!("{source:?}").contains("t1"));
}
