//! A [`Depot`] in a thread of its own: the next segment is prepared while the current one is in use,
//! and old ones are freed without holding up a sync.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use super::depot::{Depot, Segments, Spare};
use super::error::LogError;
use super::segment::Name;

enum Request {
    Take(u64),
    Retire(u64, Vec<Name>),
}

/// The background depot. Dropping it waits for what it is doing.
pub struct Pool {
    requests: Option<Sender<Request>>,
    spares: Receiver<Result<Spare, LogError>>,
    /// Received, but too short for what was wanted then.
    unused: Option<Spare>,
    thread: Option<JoinHandle<()>>,
}

impl Pool {
    /// Starts it, and has it prepare the first spare.
    ///
    /// # Errors
    /// [`LogError::Thread`].
    pub fn start(depot: Depot) -> Result<Self, LogError> {
        let (requests, inbox) = channel();
        let (outbox, spares) = channel();
        let thread = std::thread::Builder::new()
            .name("log-segments".to_owned())
            .spawn(move || run(depot, &inbox, &outbox))
            .map_err(|error| LogError::Thread(Arc::new(error)))?;
        let pool = Self { requests: Some(requests), spares, unused: None, thread: Some(thread) };
        pool.send(Request::Take(0));
        Ok(pool)
    }

    fn send(&self, request: Request) {
        if let Some(requests) = &self.requests {
            // If the thread is gone, receiving from it says so.
            let _ = requests.send(request);
        }
    }

    fn receive(&self) -> Result<Spare, LogError> {
        let gone = |_| LogError::Thread(Arc::new(std::io::Error::other("the thread that prepares segments is gone")));
        self.spares.recv().map_err(gone)?
    }
}

impl Segments for Pool {
    fn take(&mut self, min_length: u64) -> Result<Spare, LogError> {
        let ready = match self.unused.take() {
            Some(spare) => Ok(spare),
            None => self.receive(),
        };
        match ready {
            Ok(spare) if spare.length >= min_length => {
                self.send(Request::Take(0));
                Ok(spare)
            }
            Ok(short) => {
                self.unused = Some(short);
                self.send(Request::Take(min_length));
                self.receive()
            }
            // It failed a while ago, perhaps for lack of space: what counts is whether it works now.
            Err(_) => {
                self.send(Request::Take(min_length));
                let spare = self.receive()?;
                self.send(Request::Take(0));
                Ok(spare)
            }
        }
    }

    fn retire(&mut self, base: u64, older: Vec<Name>) -> Result<(), LogError> {
        self.send(Request::Retire(base, older));
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // A panic has been reported by the panic hook already.
            let _ = thread.join();
        }
    }
}

fn run(mut depot: Depot, inbox: &Receiver<Request>, outbox: &Sender<Result<Spare, LogError>>) {
    let mut failed = None;
    for request in inbox {
        match request {
            Request::Retire(base, older) => failed = failed.or(depot.retire(base, older).err()),
            Request::Take(min_length) => {
                let answer = match &failed {
                    Some(error) => Err(LogError::clone(error)),
                    None => depot.take(min_length),
                };
                if outbox.send(answer).is_err() {
                    return;
                }
            }
        }
    }
}
