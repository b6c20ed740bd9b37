//! The outgoing side: dials a peer again and again, and writes what is queued for it.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::connection::Connection;
use super::handshake::{HandshakeError, Opening, VERSIONS, check_reply};
use super::link::Link;
use super::peers::Shared;

/// First pause after a failure; doubles up to the last one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause between two attempts.
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// Keeps `link` connected until the task is aborted.
pub(super) async fn run(shared: Rc<Shared>, link: Rc<Link>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match connect(&shared, &link).await {
            Ok(connection) => {
                pause = FIRST_PAUSE;
                link.established();
                write(&shared, &link, &connection.stream).await.into()
            }
            Err(error) => error,
        };
        link.failed(&error);
        tokio::select! {
            () = sleep(shared.jitter(pause)) => pause = LAST_PAUSE.min(pause * 2),
            // The peer has just connected to this node, so it is up.
            () = link.retry.notified() => {}
        }
    }
}

async fn connect(shared: &Shared, link: &Link) -> Result<Connection, HandshakeError> {
    let limit = shared.limits.handshake;
    let attempt = async {
        let mut connection = Connection::new(dial(&link.address).await?)?;
        let opening = Opening::Member { versions: VERSIONS, from: shared.identity(), to: link.node };
        let reply = connection.open(&opening).await?;
        link.introduce(check_reply(shared.identity(), link.node, reply)?)?;
        Ok(connection)
    };
    timeout(limit, attempt).await.unwrap_or(Err(HandshakeError::TimedOut(limit)))
}

/// Connects to `host:port`, trying all addresses that the name stands for.
pub(super) async fn dial(address: &str) -> Result<TcpStream, HandshakeError> {
    let resolved = tokio::net::lookup_host(address).await;
    let mut error = HandshakeError::Unresolved(address.to_owned());
    for candidate in resolved.into_iter().flatten() {
        match TcpStream::connect(candidate).await {
            Ok(stream) => return Ok(stream),
            Err(failure) => error = failure.into(),
        }
    }
    Err(error)
}

/// Writes what is queued, all of it in one call where the kernel takes it, until the connection ends.
async fn write(shared: &Shared, link: &Link, stream: &TcpStream) -> io::Error {
    let mut taken = Vec::new();
    let ended = ended(stream);
    tokio::pin!(ended);
    loop {
        tokio::select! {
            biased;
            () = link.filled.notified() => {}
            error = &mut ended => return error,
            () = link.give_up.notified() => {
                // Unless that was meant for an earlier connection.
                if link.is_silent(shared.limits.stall) {
                    return timed_out("nothing was heard of the peer for too long");
                }
            }
        }
        link.take(&mut taken);
        let mut left = taken.as_slice();
        while !left.is_empty() {
            match stream.try_write(left) {
                Ok(written) => left = &left[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    link.handed_over(left.len());
                    match timeout(shared.limits.stall, stream.writable()).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => return error,
                        Err(_) => return timed_out("the peer takes no bytes any more"),
                    }
                }
                Err(error) => return error,
            }
        }
        link.handed_over(0);
    }
}

fn timed_out(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, why)
}

/// Waits for the end of a connection on which nothing is to be received.
async fn ended(stream: &TcpStream) -> io::Error {
    loop {
        if let Err(error) = stream.readable().await {
            return error;
        }
        match stream.try_read(&mut [0]) {
            Ok(0) => return io::ErrorKind::UnexpectedEof.into(),
            Ok(_) => return io::Error::new(io::ErrorKind::InvalidData, "the peer sends where it should only receive"),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return error,
        }
    }
}
