//! Running portals: rows and copied data out, copied data in.
//!
//! A portal gives its rows in batches, and the next batch is asked for only when the client has taken most of those
//! before: a large result is never held, neither here nor in the session.

use annulus_relation::SqlError;
use annulus_relation::error::SqlState;

use super::connection::Connection;
use super::failure::Failure;
use super::portal::Portal;
use super::protocol::Format;
use super::protocol::backend::{self, Signal};
use super::protocol::frontend::{Message, understand};
use super::session::{Run, Session, Status, Step, Tag};
use super::values::write_row;
use super::wire::{Heard, Watch, interruption, timed_out};

/// Most rows of a batch.
const BATCH: usize = 1024;

impl<S: Session> Connection<S> {
    /// Runs a portal until its end, or until it has given `most` rows.
    pub(super) async fn drive(
        &mut self,
        portal: &mut Portal<S::Portal>,
        most: usize,
        last: bool,
        watch: &Watch,
    ) -> Result<(), Failure> {
        let mut given = 0;
        let mut copying = false;
        loop {
            let run = Run { most: (most - given).min(BATCH), last };
            let step = self.wire.attend(self.session.run(&mut portal.inner, run), watch).await?;
            self.tell_news();
            match step? {
                Step::Rows(rows) => {
                    self.describe_late(portal);
                    given += rows.len();
                    self.give(portal, &rows).await?;
                    if given >= most {
                        backend::signal(&mut self.wire.output, Signal::PortalSuspended);
                        return Ok(());
                    }
                }
                Step::CopyIn(layout) => {
                    backend::copy(&mut self.wire.output, false, layout);
                    self.wire.release();
                    self.receive(portal, watch).await?;
                }
                Step::CopyOut(layout) => {
                    backend::copy(&mut self.wire.output, true, layout);
                    copying = true;
                }
                Step::CopyData(data) => {
                    backend::copy_data(&mut self.wire.output, &data);
                    self.wire.make_room().await?;
                }
                Step::End(tag) => {
                    self.describe_late(portal);
                    if copying {
                        backend::signal(&mut self.wire.output, Signal::CopyDone);
                    }
                    portal.ended = Some(match tag {
                        Tag::Rows(word) => Some(word),
                        Tag::Text(_) | Tag::Empty => None,
                    });
                    self.complete(&tag, given);
                    return Ok(());
                }
            }
        }
    }

    /// Tells the columns of a simple query's portal, once it has begun: only then are they certain.
    fn describe_late(&mut self, portal: &mut Portal<S::Portal>) {
        if std::mem::replace(&mut portal.is_described, true) {
            return;
        }
        portal.columns = self.session.columns(&portal.inner);
        if let Some(columns) = &portal.columns {
            portal.formats = vec![Format::Text; columns.len()];
            backend::columns(&mut self.wire.output, columns, std::iter::repeat(Format::Text));
        }
    }

    /// Writes rows, as fast as the client takes them.
    async fn give(&mut self, portal: &Portal<S::Portal>, rows: &[annulus_relation::Row]) -> Result<(), Failure> {
        let env = self.session.env();
        let columns = portal.columns.as_deref().unwrap_or_default();
        for row in rows {
            write_row(&mut self.wire.output, row, columns, &portal.formats, &self.session, &env)?;
            self.wire.make_room().await?;
        }
        Ok(())
    }

    /// Takes the data of a `COPY` in.
    async fn receive(&mut self, portal: &mut Portal<S::Portal>, watch: &Watch) -> Result<(), Failure> {
        loop {
            while let Some(frame) = self.wire.next_frame()? {
                let kind = frame.kind;
                match understand(frame)? {
                    Message::CopyData(data) => {
                        self.wire.attend(self.session.copy_in(&mut portal.inner, data), watch).await??;
                    }
                    Message::CopyDone => return Ok(()),
                    Message::CopyFail(why) => {
                        let what = format!("COPY from stdin failed: {why}");
                        return Err(SqlError::new(SqlState::QUERY_CANCELED, what).into());
                    }
                    // Sent along with Execute.
                    Message::Flush | Message::Sync => {}
                    _ => {
                        let what = format!("unexpected message type 0x{kind:02X} during COPY from stdin");
                        return Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, what).into());
                    }
                }
            }
            match self.wire.wait(watch.deadline).await? {
                Heard::Input => {}
                Heard::Interrupted => return Err(interruption(&self.wire.client)),
                Heard::Late => return Err(timed_out().into()),
            }
        }
    }

    /// Says that a statement is done.
    pub(super) fn complete(&mut self, tag: &Tag, given: usize) {
        let output = &mut self.wire.output;
        match tag {
            Tag::Rows(word) => backend::complete(output, &format!("{word} {given}")),
            Tag::Text(text) => backend::complete(output, text),
            Tag::Empty => backend::signal(output, Signal::EmptyQuery),
        }
    }

    /// Forgets the portals of a transaction that has ended with a statement.
    pub(super) fn end_portals(&mut self) {
        let before = std::mem::replace(&mut self.status, self.session.status());
        if before != Status::Idle && self.status == Status::Idle {
            self.portals.clear();
        }
    }
}
