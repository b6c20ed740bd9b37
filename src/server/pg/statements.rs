//! What messages do: simple queries, and the parts of the extended protocol.

use std::sync::Arc;
use std::time::Instant as Clock;

use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult, SqlType, Value};
use bytes::Bytes;

use super::connection::Connection;
use super::failure::Failure;
use super::portal::Portal;
use super::protocol::Format;
use super::protocol::backend::{self, Signal};
use super::protocol::frontend::{Bind, Target};
use super::session::{Session, Tag};
use super::values::{read, spread};

impl<S: Session> Connection<S> {
    /// A simple query: statements one after the other, in one implicit transaction.
    pub(super) async fn query(&mut self, sql: &str) -> Result<(), Failure> {
        self.begin(sql);
        self.session.forget("");
        self.portals.remove("");
        let statements = self.session.split(sql)?;
        if statements.is_empty() {
            backend::signal(&mut self.wire.output, Signal::EmptyQuery);
        }
        let count = statements.len();
        let sql: Arc<str> = sql.into();
        for (place, statement) in statements.into_iter().enumerate() {
            self.wire.shared.metrics.sql.statements.increment(1);
            let watch = self.watch();
            let inner = self.wire.attend(self.session.start(statement), &watch).await??;
            let mut portal = Portal::undescribed(inner, Arc::clone(&sql));
            self.drive(&mut portal, usize::MAX, place + 1 == count, &watch).await?;
            self.end_portals();
        }
        self.commit().await
    }

    /// A statement is begun.
    fn begin(&self, sql: &str) {
        self.wire.client.begin(sql, (self.wire.shared.wall)());
    }

    /// Prepares a statement.
    pub(super) async fn parse(&mut self, name: &str, sql: &str, types: &[u32]) -> Result<(), Failure> {
        self.begin(sql);
        if self.session.holds() + sql.len() > self.wire.shared.config.max_client_memory / 2 {
            let what = "the prepared statements of this connection hold too much memory";
            let hint = "Deallocate statements that are not needed any more.";
            return Err(SqlError::new(SqlState::OUT_OF_MEMORY, what).hint(hint).into());
        }
        let watch = self.watch();
        self.wire.attend(self.session.parse(name, sql, types), &watch).await??;
        self.tell_news();
        backend::signal(&mut self.wire.output, Signal::ParseComplete);
        Ok(())
    }

    /// Makes a portal.
    pub(super) async fn bind(&mut self, bind: Bind) -> Result<(), Failure> {
        let Bind { portal: name, statement, formats, parameters, results } = bind;
        let watch = self.watch();
        let description = self.wire.attend(self.session.describe(&statement), &watch).await??;
        self.begin(&description.text);
        let (given, wanted) = (parameters.len(), description.parameters.len());
        let formats = spread(&formats, given, |formats| {
            format!("bind message has {formats} parameter formats but {given} parameters")
        })?;
        if given != wanted {
            let what = format!(
                "bind message supplies {given} parameters, but prepared statement \"{statement}\" requires {wanted}"
            );
            return Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, what).into());
        }
        let values = match self.values(&parameters, &description.parameters, &formats) {
            // Others may have given the type another label.
            Err(_) if description.parameters.iter().any(|ty| ty.enumeration().is_some()) => {
                let newest = self.wire.attend(self.session.describe_newest(&statement), &watch).await??;
                self.values(&parameters, &newest.parameters, &formats)?
            }
            values => values?,
        };
        let inner = self.wire.attend(self.session.bind(&statement, values), &watch).await??;
        let columns = self.session.columns(&inner);
        let count = columns.as_ref().map_or(0, |columns| columns.len());
        let formats = spread(&results, count, |formats| {
            format!("bind message has {formats} result formats but query has {count} columns")
        })?;
        let holds = parameters.iter().flatten().map(bytes::Bytes::len).sum();
        let sql = Arc::clone(&description.text);
        let portal = Portal { inner, sql, columns, formats, is_described: true, ended: None, holds };
        self.portals.add(name, portal, self.wire.shared.config.max_client_memory / 2)?;
        self.tell_news();
        backend::signal(&mut self.wire.output, Signal::BindComplete);
        Ok(())
    }

    /// The values of parameters.
    fn values(&self, given: &[Option<Bytes>], types: &[SqlType], formats: &[Format]) -> SqlResult<Vec<Value>> {
        let env = self.session.env();
        let all = given.iter().zip(types).zip(formats);
        all.map(|((value, ty), format)| read(value.as_ref(), ty, *format, &self.session, &env)).collect()
    }

    /// Describes a statement or a portal.
    pub(super) async fn describe(&mut self, target: Target) -> Result<(), Failure> {
        let (columns, formats) = match target {
            Target::Statement(name) => {
                let watch = self.watch();
                let description = self.wire.attend(self.session.describe(&name), &watch).await??;
                backend::parameters(&mut self.wire.output, &description.parameters);
                (description.columns.clone(), None)
            }
            Target::Portal(name) => match (self.portals.find(&name), self.session.cursor(&name)) {
                (Err(_), Some(columns)) => (Some(columns), None),
                (portal, _) => {
                    let portal = portal?;
                    (portal.columns.clone(), Some(&portal.formats))
                }
            },
        };
        let output = &mut self.wire.output;
        match (columns, formats) {
            (None, _) => backend::signal(output, Signal::NoData),
            (Some(columns), None) => backend::columns(output, &columns, std::iter::repeat(Format::Text)),
            (Some(columns), Some(formats)) => backend::columns(output, &columns, formats.iter().copied()),
        }
        Ok(())
    }

    /// Runs a portal, for at most so many rows; 0: for all.
    pub(super) async fn execute(&mut self, name: String, most: usize) -> Result<(), Failure> {
        let begun = Clock::now();
        if self.portals.find(&name).is_err() && self.session.cursor(&name).is_some() {
            let error = SqlError::unsupported(format!("execution of the cursor \"{name}\" as a portal"));
            return Err(error.hint("Use FETCH.").into());
        }
        let mut portal = self.portals.take(&name)?;
        self.begin(&portal.sql);
        match portal.ended {
            None => {
                self.wire.shared.metrics.sql.statements.increment(1);
                let watch = self.watch();
                let most = if most == 0 { usize::MAX } else { most };
                let last = self.wire.sync_follows();
                self.drive(&mut portal, most, last, &watch).await?;
                self.wire.shared.metrics.sql.duration.record(begun.elapsed());
            }
            Some(Some(word)) => self.complete(&Tag::Rows(word), 0),
            Some(None) => {
                let what = format!("portal \"{name}\" cannot be run");
                return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, what).into());
            }
        }
        self.portals.put_back(name, portal);
        self.end_portals();
        Ok(())
    }

    /// Forgets a statement or a portal.
    pub(super) fn close(&mut self, target: &Target) {
        match target {
            Target::Statement(name) => self.session.forget(name),
            Target::Portal(name) => match self.portals.remove(name) {
                Some(portal) => drop(portal),
                None => self.session.close_cursor(name),
            },
        }
        backend::signal(&mut self.wire.output, Signal::CloseComplete);
    }
}
