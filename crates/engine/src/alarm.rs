//! A timer beside something that is polled often: asked only where asking can tell something new.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::Sleep;

/// Wakes its task once at a time. The runtime's timer costs a few hundred instructions per poll; a stream is
/// polled several times per piece and its alarms almost never ring.
#[derive(Debug)]
pub struct Alarm {
    sleep: Pin<Box<Sleep>>,
    /// The task that the timer would wake.
    told: Option<Waker>,
}

impl Alarm {
    /// Rings after this time.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self { sleep: Box::pin(tokio::time::sleep(time)), told: None }
    }

    /// Rings after this time instead.
    pub fn set_after(&mut self, time: Duration) {
        self.sleep.as_mut().reset(tokio::time::Instant::now() + time);
        // One that has rung has forgotten whom to wake.
        self.told = None;
    }

    /// Whether it has rung; until then the task is woken when it does.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let known = self.told.as_ref().is_some_and(|told| told.will_wake(cx.waker()));
        if known && !self.sleep.is_elapsed() {
            return Poll::Pending;
        }
        let polled = self.sleep.as_mut().poll(cx);
        self.told = polled.is_pending().then(|| cx.waker().clone());
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test]
    async fn it_rings_at_the_time_that_was_set_last_however_often_it_is_asked() {
        let span = Duration::from_millis(40);
        let mut alarm = Alarm::after(span);
        let began = tokio::time::Instant::now();
        for _ in 0..3 {
            assert!(poll_fn(|cx| Poll::Ready(alarm.poll(cx))).await.is_pending());
        }
        poll_fn(|cx| alarm.poll(cx)).await;
        assert!(began.elapsed() >= span);
        // Set again after it has rung, earlier and later than it stands, and asked by another task.
        for times in [50, 2, 3] {
            alarm.set_after(times * span);
            assert!(poll_fn(|cx| Poll::Ready(alarm.poll(cx))).await.is_pending());
        }
        tokio::spawn(async move { poll_fn(|cx| alarm.poll(cx)).await }).await.unwrap();
        let took = began.elapsed();
        assert!(took >= 4 * span && took < 40 * span, "{took:?}");
    }
}
