//! What moves one connection: hyper's connection future, polled by the call that uses it and only when something
//! has happened to it.
//!
//! hyper's connection and what a call waits for (the head, the next bytes) talk to each other by wake-ups. Both
//! are polled by the same call, so these wake-ups would only make the runtime poll the call's whole task again.
//! Here they end in a flag: a round is made where the flag is up, and the task is told only of what happens while
//! it sleeps.

use futures_util::task::AtomicWaker;
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{AcqRel, Acquire},
        },
    },
    task::{Context, Poll, Wake, Waker},
};

/// Most rounds of one poll. The runtime's own bound on what a task may read at a time shows as a wake-up in each
/// round, so there has to be an end.
const ROUNDS: usize = 8;

/// Drives one connection: nothing of it moves unless this is polled.
pub(super) struct Driver {
    /// `None` once the connection is over.
    connection: Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>,
    bell: Arc<Bell>,
    /// Rings `bell`; made once.
    waker: Waker,
}

/// Wake-ups of one connection.
struct Bell {
    rung: AtomicBool,
    /// The task that sleeps on the connection, while one does.
    sleeper: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, AcqRel) {
            self.sleeper.wake();
        }
    }
}

impl Driver {
    pub(super) fn new(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) -> Self {
        let bell = Arc::new(Bell { rung: AtomicBool::new(true), sleeper: AtomicWaker::new() });
        let waker = Waker::from(Arc::clone(&bell));
        Self { connection: Some(Box::pin(connection)), bell, waker }
    }

    /// Polls `inner`, which waits for this connection and for nothing else, until it is ready or nothing moves.
    pub(super) fn poll_with<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut inner: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        drop(self.bell.sleeper.take());
        let mut quiet = Context::from_waker(Waker::noop());
        for _ in 0..ROUNDS {
            self.attend();
            if self.connection.is_none() {
                // What the connection has left behind is all there is; whoever else moves `inner` may wake us.
                return inner(cx);
            }
            if let Poll::Ready(value) = inner(&mut quiet) {
                return Poll::Ready(value);
            }
            if self.bell.rung.load(Acquire) {
                continue;
            }
            self.bell.sleeper.register(cx.waker());
            // It may have rung before there was anybody to be told.
            if !self.bell.rung.load(Acquire) {
                return Poll::Pending;
            }
            drop(self.bell.sleeper.take());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Moves the connection where something has happened to it. False once it is over.
    pub(super) fn attend(&mut self) -> bool {
        if let Some(connection) = &mut self.connection
            && self.bell.rung.swap(false, AcqRel)
            && connection.as_mut().poll(&mut Context::from_waker(&self.waker)).is_ready()
        {
            self.connection = None;
        }
        self.connection.is_some()
    }

    /// Moves the connection until nothing more happens by itself. False once it is over, and where it does not
    /// come to rest.
    pub(super) fn settle(&mut self) -> bool {
        for _ in 0..ROUNDS {
            if !self.attend() {
                return false;
            }
            if !self.bell.rung.load(Acquire) {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        future::poll_fn,
        sync::{
            Mutex,
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
    };

    /// Counts how often a task is woken.
    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    /// A connection that counts its polls, hands its waker out and ends when told.
    #[derive(Clone, Default)]
    struct Script(Arc<(AtomicUsize, AtomicBool, Mutex<Option<Waker>>)>);

    impl Script {
        fn driver(&self) -> Driver {
            let script = self.clone();
            Driver::new(poll_fn(move |cx| {
                script.0.0.fetch_add(1, SeqCst);
                *script.0.2.lock().unwrap() = Some(cx.waker().clone());
                if script.0.1.load(SeqCst) { Poll::Ready(Ok(())) } else { Poll::Pending }
            }))
        }

        fn polls(&self) -> usize {
            self.0.0.load(SeqCst)
        }

        fn ring(&self) {
            let waker = self.0.2.lock().unwrap().clone();
            waker.unwrap().wake();
        }
    }

    #[test]
    fn a_connection_is_polled_when_something_happened_and_its_sleeper_told_once() {
        let script = Script::default();
        let mut driver = script.driver();
        let task = Arc::new(Task::default());
        let waker = Waker::from(Arc::clone(&task));
        let mut cx = Context::from_waker(&waker);
        assert!(driver.poll_with(&mut cx, |_| Poll::<()>::Pending).is_pending());
        assert_eq!(script.polls(), 1, "a new connection is polled");
        assert!(driver.poll_with(&mut cx, |_| Poll::<()>::Pending).is_pending());
        assert_eq!((script.polls(), task.0.load(SeqCst)), (1, 0), "nothing happened, nothing is polled");
        script.ring();
        script.ring();
        assert_eq!(task.0.load(SeqCst), 1, "the sleeper is told once");
        assert!(driver.poll_with(&mut cx, |_| Poll::Ready(7)).is_ready());
        assert_eq!(script.polls(), 2);
        // What happens while nobody sleeps is found at the next poll.
        script.ring();
        assert_eq!(task.0.load(SeqCst), 1);
        assert!(driver.poll_with(&mut cx, |_| Poll::<()>::Pending).is_pending());
        assert_eq!(script.polls(), 3);
    }

    #[test]
    fn what_the_call_itself_sets_off_is_attended_to_without_waking_its_task() {
        let script = Script::default();
        let mut driver = script.driver();
        let task = Arc::new(Task::default());
        let waker = Waker::from(Arc::clone(&task));
        let mut cx = Context::from_waker(&waker);
        let mut asked = 0;
        let polled = driver.poll_with(&mut cx, |_| {
            asked += 1;
            if asked == 1 {
                script.ring();
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        });
        assert!(polled.is_ready());
        assert_eq!((asked, script.polls(), task.0.load(SeqCst)), (2, 2, 0));
        // A connection that rings without end gives the thread back, and is polled again later.
        let polled = driver.poll_with(&mut cx, |_| {
            script.ring();
            Poll::<()>::Pending
        });
        assert!(polled.is_pending());
        assert_eq!(task.0.load(SeqCst), 1);
        assert!(!{
            script.0.1.store(true, SeqCst);
            driver.settle()
        });
        assert!(driver.poll_with(&mut cx, |_| Poll::Ready(())).is_ready(), "what is left can be had");
    }

    #[test]
    fn a_connection_at_rest_is_told_from_one_that_is_over() {
        let script = Script::default();
        let mut driver = script.driver();
        assert!(driver.settle());
        script.0.1.store(true, SeqCst);
        assert!(driver.settle(), "nothing has told of the end yet");
        script.ring();
        assert!(!driver.settle());
        assert!(!driver.settle());
    }
}
