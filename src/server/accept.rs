//! Accepting connections: the same for all protocols whose clients are served on the node's thread.

use std::future::Future;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long to wait before connections are accepted again after that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long somebody for whom there is no room may take to read why.
const FAREWELL: Duration = Duration::from_secs(1);
/// Most of them at once; above it, connections are closed without a word.
const MOST_REFUSED: usize = 256;

/// Hands connections to `receive`, which adds their tasks to the set, until `shutdown` is cancelled; then lets those at
/// work finish, at most for `drain`. Must run inside of a `LocalSet`.
pub async fn accept(
    listener: TcpListener,
    shutdown: &CancellationToken,
    drain: Duration,
    mut receive: impl FnMut(TcpStream, &mut JoinSet<()>),
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => receive(stream, &mut connections),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted; trying again soon");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(drain, drained).await;
    connections.shutdown().await;
}

/// Tells somebody that there is no room beside `max_clients`, unless too many are being told already.
pub fn turn_away(connections: &mut JoinSet<()>, max_clients: usize, refusal: impl Future + 'static) {
    if connections.len() < max_clients + MOST_REFUSED {
        connections.spawn_local(async { drop(timeout(FAREWELL, refusal).await) });
    }
}
