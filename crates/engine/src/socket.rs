//! What a socket is told before it is used, on both sides of the gateway.

use socket2::{SockRef, TcpKeepalive};
use std::{io, time::Duration};
use tokio::net::TcpStream;

/// Sends small pieces at once, and notices a peer whose machine or network is gone without a word: after `gone_after`
/// without an answer to what was sent, and, where nothing is sent, to the system's own questions.
///
/// Without it a call waits for its own bounds, and a half-open caller holds its upstream for the quarter of an hour
/// that the system goes on sending.
///
/// # Errors
/// The system's, where it does not take an option.
pub fn attend(stream: &TcpStream, gone_after: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    // Asked after half of the time, then three times in the other half.
    let questions = TcpKeepalive::new().with_time(gone_after / 2).with_interval(gone_after / 6);
    #[cfg(target_os = "linux")]
    let questions = questions.with_retries(3);
    socket.set_tcp_keepalive(&questions)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(gone_after))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_peer_that_is_gone_is_noticed_in_the_time_that_was_asked_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (stream, _peer) =
            tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let stream = stream.unwrap();
        attend(&stream, Duration::from_secs(60)).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(60)));
        let asked = (
            socket.tcp_keepalive_time().unwrap(),
            socket.tcp_keepalive_interval().unwrap(),
            socket.tcp_keepalive_retries().unwrap(),
        );
        assert_eq!(asked, (Duration::from_secs(30), Duration::from_secs(10), 3));
    }
}
