//! What a connection remembers between commands.

use std::rc::Rc;

use annulus_base::id::TxnRef;
use bytes::Bytes;

use super::clients::Client;
use super::errors::Failure;
use super::protocol::Version;
use super::transaction::Step;
use super::watch::Watch;

/// Whether commands are answered (`CLIENT REPLY`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replies {
    /// They are.
    #[default]
    On,
    /// They are not.
    Off,
    /// So many are not.
    Skip {
        /// The one that said so included.
        left: u8,
    },
}

impl Replies {
    /// Whether the command just done is answered; counts it.
    pub fn next(&mut self) -> bool {
        match *self {
            Self::On => true,
            Self::Off => false,
            Self::Skip { left } => {
                *self = if left > 1 { Self::Skip { left: left - 1 } } else { Self::On };
                false
            }
        }
    }
}

/// The commands that `MULTI` has queued.
#[derive(Debug, Default)]
pub struct Queue {
    /// In order.
    pub steps: Vec<Step>,
    /// The bytes of their arguments.
    pub bytes: usize,
    /// A command could not be queued: `EXEC` will refuse.
    pub broken: bool,
}

/// A connection's state.
#[derive(Debug)]
pub struct Session {
    /// What others can see of it.
    pub client: Rc<Client>,
    /// Whether commands are answered.
    pub replies: Replies,
    /// The last transaction that committed, or whose outcome is unknown.
    pub last: Option<TxnRef>,
    /// The token of the next write.
    pub token: Option<Bytes>,
    /// After `MULTI`.
    pub queue: Option<Queue>,
    /// After `WATCH`.
    pub watch: Watch,
    /// No further command is begun.
    pub closing: bool,
}

impl Session {
    /// The state of a new connection.
    #[must_use]
    pub fn new(client: Rc<Client>) -> Self {
        Self {
            client,
            replies: Replies::On,
            last: None,
            token: None,
            queue: None,
            watch: Watch::default(),
            closing: false,
        }
    }

    /// The protocol spoken.
    #[must_use]
    pub fn version(&self) -> Version {
        self.client.version.get()
    }

    /// Speaks another version from now on.
    pub fn set_version(&mut self, version: Version) {
        self.client.version.set(version);
    }

    /// The selected database.
    #[must_use]
    pub fn db(&self) -> u8 {
        self.client.db.get()
    }

    /// Works in another database from now on.
    pub fn set_db(&mut self, db: u8) {
        self.client.db.set(db);
    }

    /// Begins to queue, or ends it.
    pub fn set_queue(&mut self, queue: Option<Queue>) -> Option<Queue> {
        self.client.queued.set(queue.as_ref().map(|queue| queue.steps.len()));
        std::mem::replace(&mut self.queue, queue)
    }

    /// Queues a command.
    ///
    /// # Errors
    /// Too much is queued already.
    pub fn enqueue(&mut self, step: Step, most: usize) -> Result<(), Failure> {
        let queue = self.queue.get_or_insert_default();
        queue.bytes += step.arguments.iter().map(|argument| argument.len() + size_of::<Bytes>()).sum::<usize>();
        if queue.bytes > most {
            return Err(Failure::limit(format_args!("the commands of one MULTI may have {most} bytes at most")));
        }
        queue.steps.push(step);
        self.client.queued.set(Some(queue.steps.len()));
        Ok(())
    }

    /// Bytes held by queued commands.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.bytes)
    }

    /// A command could not be queued.
    pub fn break_queue(&mut self) {
        if let Some(queue) = &mut self.queue {
            queue.broken = true;
        }
    }
}
