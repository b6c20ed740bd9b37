//! The least that a durable, replicated write can take on this machine: two round trips over loopback (client to
//! coordinator, coordinator to replicas) and three concurrent syncs of a small append (one per replica).

use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::round::median;

/// How often each part is measured.
const TIMES: usize = 300;
/// Size of a message, which is about that of a write of 100 B.
const MESSAGE: usize = 150;
/// Replicas.
const DISKS: usize = 3;

/// Medians in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Floor {
    /// One round trip of a small message over TCP.
    #[serde(rename = "floor_round_trip_ms")]
    pub round_trip: f64,
    /// Until the last of three concurrent `fdatasync` has returned.
    #[serde(rename = "floor_sync_ms")]
    pub sync: f64,
}

impl Floor {
    /// Measures both; files go to `dir`. Blocks.
    ///
    /// # Errors
    /// Of the sockets and files.
    pub fn measure(dir: &Path) -> io::Result<Self> {
        Ok(Self { round_trip: median_ms(round_trips()?), sync: median_ms(syncs(dir)?) })
    }

    /// Two round trips and three concurrent syncs.
    pub fn total(self) -> f64 {
        2.0 * self.round_trip + self.sync
    }
}

fn median_ms(times: Vec<Duration>) -> f64 {
    median(times.into_iter().map(|time| 1e3 * time.as_secs_f64()).collect())
}

fn round_trips() -> io::Result<Vec<Duration>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut near = TcpStream::connect(listener.local_addr()?)?;
    let (mut far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let echo = thread::spawn(move || {
        let mut message = [0; MESSAGE];
        while far.read_exact(&mut message).is_ok() && far.write_all(&message).is_ok() {}
    });
    let mut message = [7; MESSAGE];
    let mut trip = || {
        let begun = Instant::now();
        near.write_all(&message)?;
        near.read_exact(&mut message)?;
        Ok(begun.elapsed())
    };
    let times = (0..TIMES).map(|_| trip()).collect();
    drop(near);
    // It ends with the connection.
    let _ = echo.join();
    times
}

/// How long each round of concurrent syncs took.
fn syncs(dir: &Path) -> io::Result<Vec<Duration>> {
    let begin = Barrier::new(DISKS);
    let (ends, ended) = mpsc::channel();
    thread::scope(|scope| {
        for disk in 0..DISKS {
            let path = dir.join(format!("floor{disk}"));
            let (begin, ends) = (&begin, ends.clone());
            scope.spawn(move || {
                let file = OpenOptions::new().create(true).append(true).open(path);
                for round in 0..TIMES {
                    begin.wait();
                    let begun = Instant::now();
                    let outcome = file.as_ref().map_err(|error| io::Error::from(error.kind())).and_then(|mut file| {
                        file.write_all(&[7; MESSAGE])?;
                        file.sync_data()
                    });
                    let _ = ends.send(outcome.map(|()| (round, begun, Instant::now())));
                }
            });
        }
    });
    drop(ends);
    let mut rounds: Vec<Option<(Instant, Instant)>> = vec![None; TIMES];
    for end in ended {
        let (round, begun, done) = end?;
        let (first, last) = rounds[round].unwrap_or((begun, done));
        rounds[round] = Some((first.min(begun), last.max(done)));
    }
    Ok(rounds.into_iter().flatten().map(|(first, last)| last - first).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_take_some_time() {
        let dir = tempfile::tempdir().unwrap();
        let floor = Floor::measure(dir.path()).unwrap();
        assert!(floor.round_trip > 0.0 && floor.sync > 0.0);
        assert!(floor.total() > floor.round_trip + floor.sync);
    }

    #[test]
    fn a_missing_folder_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Floor::measure(&dir.path().join("missing")).is_err());
    }
}
