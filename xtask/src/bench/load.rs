//! The load: a closed loop, a fixed rate, streams.

use super::{client::Connection, mock::nanos};
use anyhow::{Context as _, Result, ensure};
use std::{
    cell::RefCell,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::{runtime::Builder, sync::mpsc, task::LocalSet};

/// A request, ready to be sent.
#[derive(Clone)]
pub(super) struct Order {
    pub(super) address: SocketAddr,
    pub(super) request: Rc<[u8]>,
}

impl Order {
    pub(super) fn new(address: SocketAddr, key: &str, model: &str, prompt: usize, stream: bool) -> Self {
        let text: String = "answer briefly and name your sources ".chars().cycle().take(prompt).collect();
        let stream = if stream { r#","stream":true"# } else { "" };
        let body = format!(
            r#"{{"model":"{model}","messages":[{{"role":"system","content":"One line."}},{{"role":"user","content":"{text}"}}],"temperature":0.2,"max_tokens":256{stream}}}"#
        );
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             authorization: Bearer {key}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        Self { address, request: request.into_bytes().into() }
    }
}

/// What the load saw: one time per answer, or per delta of a stream.
#[derive(Default)]
pub(super) struct Seen {
    nanos: Vec<u64>,
    failed: u64,
    first_failure: Option<String>,
}

impl Seen {
    /// How many answers, or deltas.
    pub(super) fn answers(&self) -> f64 {
        self.nanos.len() as f64
    }

    /// A quantile of the times in microseconds.
    pub(super) fn quantile_us(&self, quantile: f64) -> f64 {
        let at = (self.nanos.len() as f64 * quantile) as usize;
        self.nanos
            .get(at.min(self.nanos.len().saturating_sub(1)))
            .map_or(f64::NAN, |nanos| *nanos as f64 / 1e3)
    }

    fn fail(&mut self, error: &anyhow::Error) {
        self.failed += 1;
        self.first_failure.get_or_insert_with(|| format!("{error:#}"));
    }

    /// Sorted; an error where something failed, because then the figures are of something else.
    fn checked(mut self) -> Result<Self> {
        let why = self.first_failure.as_deref().unwrap_or_default();
        ensure!(self.failed == 0, "{} requests failed; the first: {why}", self.failed);
        ensure!(!self.nanos.is_empty(), "nothing was answered");
        self.nanos.sort_unstable();
        Ok(self)
    }
}

/// Runs `connections` copies of a task on this thread and collects what they saw.
fn together<F>(connections: usize, task: impl Fn(usize, Rc<RefCell<Seen>>) -> F) -> Result<Seen>
where
    F: Future<Output = Result<()>> + 'static,
{
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let seen = Rc::new(RefCell::new(Seen::default()));
    LocalSet::new().block_on(&runtime, async {
        let tasks: Vec<_> =
            (0..connections).map(|number| tokio::task::spawn_local(task(number, Rc::clone(&seen)))).collect();
        for task in tasks {
            if let Err(error) = task.await.context("a task of the load").flatten() {
                seen.borrow_mut().fail(&error);
            }
        }
    });
    let seen = seen.take();
    seen.checked()
}

/// Each connection sends its next request when the last one is answered.
pub(super) fn closed(order: &Order, connections: usize, time: Duration) -> Result<Seen> {
    let until = Instant::now() + time;
    together(connections, |_, seen| {
        let order = order.clone();
        async move {
            let mut connection = Connection::open(order.address).await?;
            while Instant::now() < until {
                let began = nanos();
                connection.send(&order.request, |_| {}).await?;
                seen.borrow_mut().nanos.push(nanos() - began);
            }
            Ok(())
        }
    })
}

/// Requests by a timetable. Times count from the timetable, so that a gate that stalls is charged for every
/// request that it held up.
pub(super) fn rate(order: &Order, connections: usize, per_second: u32, time: Duration) -> Result<Seen> {
    let count = u64::from(per_second) * time.as_secs();
    let step = 1_000_000_000 / u64::from(per_second.max(1));
    let mut senders = Vec::new();
    let receivers: Rc<RefCell<Vec<_>>> = Rc::default();
    for _ in 0..connections {
        // As many as the timetable has for this connection: never full.
        let (send, receive) = mpsc::channel::<u64>(usize::try_from(count)? / connections + 2);
        senders.push(send);
        receivers.borrow_mut().push(receive);
    }
    // A thread of its own: the runtime's timers have a resolution of one millisecond.
    let timetable = std::thread::spawn(move || {
        let start = nanos() + 100_000_000;
        for (number, sender) in (0..count).zip(senders.iter().cycle()) {
            let due = start + number * step;
            std::thread::sleep(Duration::from_nanos(due.saturating_sub(nanos())));
            let _the_connection_failed = sender.try_send(due);
        }
    });
    let seen = together(connections, |_, seen| {
        let (order, receiver) = (order.clone(), receivers.borrow_mut().pop());
        async move {
            let mut connection = Connection::open(order.address).await?;
            let mut receiver = receiver.context("a timetable per connection")?;
            while let Some(due) = receiver.recv().await {
                connection.send(&order.request, |_| {}).await?;
                seen.borrow_mut().nanos.push(nanos().saturating_sub(due));
            }
            Ok(())
        }
    });
    let _ended = timetable.join();
    seen
}

/// Each connection reads one stream after the other. Times are those from the mock's sending of a delta to its
/// arrival here.
pub(super) fn streams(order: &Order, connections: usize, time: Duration) -> Result<Seen> {
    let until = Instant::now() + time;
    together(connections, |number, seen| {
        let order = order.clone();
        async move {
            // Spread over the length of a stream.
            tokio::time::sleep(Duration::from_millis(2 * number as u64)).await;
            let mut connection = Connection::open(order.address).await?;
            while Instant::now() < until {
                let mut done = false;
                connection
                    .send(&order.request, |bytes| {
                        let now = nanos();
                        let mut seen = seen.borrow_mut();
                        seen.nanos.extend(sent_at(bytes).map(|sent| now.saturating_sub(sent)));
                        done |= memchr::memmem::find(bytes, b"[DONE]").is_some();
                    })
                    .await?;
                ensure!(done, "a stream ended without its end mark");
            }
            Ok(())
        }
    })
}

/// The times that the mock wrote into its deltas.
fn sent_at(bytes: &[u8]) -> impl Iterator<Item = u64> {
    memchr::memmem::find_iter(bytes, b"\"t=").filter_map(|at| {
        let digits = bytes.get(at + 3..)?.iter().take_while(|byte| byte.is_ascii_digit());
        let number =
            digits.fold(0_u64, |number, digit| number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')));
        (number > 0).then_some(number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_out_of_deltas() {
        let bytes = br#"data: {"delta":{"content":"t=12 word "}} data: {"delta":{"content":"t=7 word "}}"#;
        assert_eq!(sent_at(bytes).collect::<Vec<_>>(), [12, 7]);
    }

    #[test]
    fn quantiles_are_of_the_sorted_times() {
        let seen = Seen { nanos: vec![3_000, 1_000, 2_000], ..Seen::default() }.checked().unwrap();
        assert_eq!((seen.quantile_us(0.5), seen.quantile_us(1.0)), (2.0, 3.0));
    }
}
