//! Statements about the session itself.

use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult, SqlType, Value};
use annulus_txn::interface::Database;
use sqlparser::ast::{Expr, ObjectName};

use super::answer::Tag;
use super::settings::{DEFERRABLE, READ_ONLY};
use super::{Portal, Produced, Session};
use crate::bind::{Binder, EvalContext, ParamTypes, Scope};
use crate::names::{Names, name_of};
use crate::parse::{Discard, Isolation, Modes, Parsed, SetValue, Statement};

impl<D: Database> Session<D> {
    /// Runs a statement about transactions or the session; `None` if it is none of these.
    pub(super) async fn command(&mut self, parsed: &Parsed) -> SqlResult<Option<Produced>> {
        let tag = match &parsed.statement {
            Statement::Begin(word, modes) => self.begin(word, *modes).await?,
            Statement::Commit(chain) => self.commit_block(*chain).await?,
            Statement::Rollback(chain) => self.rollback_block(*chain).await?,
            Statement::Savepoint(name) => self.savepoint(name)?,
            Statement::Release(name) => self.release(name)?,
            Statement::RollbackTo(name) => self.rollback_to(name)?,
            Statement::SetTransaction(modes) => self.set_transaction(*modes)?,
            Statement::SetCharacteristics(modes) => self.set_characteristics(*modes)?,
            Statement::Set { local, name, value } => self.set(*local, name, value)?,
            Statement::Reset(name) => self.reset(name.as_deref())?,
            Statement::Show(name) => return self.show(name.as_deref()).map(Some),
            Statement::Discard(what) => self.discard(*what).await?,
            Statement::Prepare { name, types, body } => self.prepare_statement(name, &parsed.text, types, body).await?,
            Statement::Deallocate(name) => {
                self.deallocate(name.as_deref())?;
                Tag::word(if name.is_some() { "DEALLOCATE" } else { "DEALLOCATE ALL" })
            }
            Statement::Fetch { name, rows, moves } => return self.fetch(name, *rows, *moves).await.map(Some),
            Statement::Close(name) => self.close(name.as_deref())?,
            Statement::Extension { action, names, lenient } => self.extend(*action, names, *lenient)?,
            Statement::Lock(tables) => self.lock(tables)?,
            Statement::SetConstraints { names, deferred } => self.set_constraints(names, *deferred).await?,
            Statement::Refused(what) => return Err(SqlError::unsupported(what)),
            _ => return Ok(None),
        };
        Ok(Some(Produced::tag(tag)))
    }

    /// `LOCK TABLE`: names are checked. Nobody is kept out, but whatever others do meanwhile, a transaction that commits
    /// is as if it had been alone.
    fn lock(&self, tables: &[ObjectName]) -> SqlResult<Tag> {
        let Some(active) = self.active.as_ref().filter(|active| active.block) else {
            let message = "LOCK TABLE can only be used in transaction blocks";
            return Err(SqlError::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, message));
        };
        let (path, database) = (self.shared.path(), &self.shared.database);
        let names = Names { catalog: &active.catalog, path: &path, database };
        tables.iter().try_for_each(|table| names.get(&name_of(table, database)?).map(drop))?;
        Ok(Tag::word("LOCK TABLE"))
    }

    fn set_transaction(&mut self, modes: Modes) -> SqlResult<Tag> {
        if !self.active.as_ref().is_some_and(|active| active.block) {
            let message = "SET TRANSACTION can only be used in transaction blocks";
            self.warn(SqlError::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, message));
        }
        self.set_modes(modes)?;
        Ok(Tag::word("SET"))
    }

    fn set_characteristics(&mut self, modes: Modes) -> SqlResult<Tag> {
        self.explain_isolation(modes.isolation);
        let mut settings = self.shared.settings();
        if let Some(level) = modes.isolation {
            settings.set("default_transaction_isolation", &[level.name().to_owned()], false)?;
        }
        if let Some(read_only) = modes.read_only {
            let value = if read_only { "on" } else { "off" };
            settings.set("default_transaction_read_only", &[value.to_owned()], false)?;
        }
        Ok(Tag::word("SET"))
    }

    fn set(&mut self, local: bool, name: &str, value: &SetValue) -> SqlResult<Tag> {
        if local && !self.active.as_ref().is_some_and(|active| active.block) {
            let message = "SET LOCAL can only be used in transaction blocks";
            self.warn(SqlError::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, message));
        }
        match value {
            SetValue::Default => self.shared.settings().reset(name, local)?,
            SetValue::Values(values) => {
                self.shared.settings().set(name, values, local || [READ_ONLY, DEFERRABLE].contains(&name))?;
                self.follow(name)?;
            }
        }
        Ok(Tag::word("SET"))
    }

    /// What follows from a setting that has just been set.
    fn follow(&mut self, name: &str) -> SqlResult<()> {
        let value = self.shared.settings().get(name).unwrap_or_default();
        match name {
            READ_ONLY => self.set_modes(Modes { read_only: Some(value == "on"), ..Modes::default() }),
            "transaction_isolation" | "default_transaction_isolation" => {
                let levels = [Isolation::RepeatableRead, Isolation::ReadCommitted, Isolation::ReadUncommitted];
                self.explain_isolation(levels.into_iter().find(|level| level.name() == value));
                Ok(())
            }
            _ => {
                let now = self.active.as_ref().map(|active| active.now);
                let env = now.map(|now| self.shared.env(now));
                if let (Some(active), Some(env)) = (&mut self.active, env) {
                    active.env = env.into();
                }
                Ok(())
            }
        }
    }

    fn reset(&mut self, name: Option<&str>) -> SqlResult<Tag> {
        match name {
            Some(name) => self.shared.settings().reset(name, false)?,
            None => self.shared.settings().reset_all(),
        }
        Ok(Tag::word("RESET"))
    }

    fn show(&self, name: Option<&str>) -> SqlResult<Produced> {
        let settings = self.shared.settings();
        let rows = match name {
            // Whatever was asked for: this is what it is.
            Some("transaction_isolation") => vec![vec![Value::text("serializable")]],
            Some(name) => vec![vec![Value::text(settings.show(name)?)]],
            None => {
                let all = settings.all().into_iter();
                all.map(|(name, value, about)| vec![Value::text(name), Value::text(value), Value::text(about)])
                    .collect()
            }
        };
        Ok(Produced::rows(rows, Tag::word("SHOW")))
    }

    async fn discard(&mut self, what: Discard) -> SqlResult<Tag> {
        if what == Discard::All {
            check_no_block(self.active.as_ref().is_some_and(|active| active.block), "DISCARD ALL")?;
        }
        if matches!(what, Discard::All | Discard::Temporary) {
            self.drop_temporary().await?;
        }
        if matches!(what, Discard::All | Discard::Sequences) {
            self.shared.forget_values();
        }
        if what == Discard::All {
            self.prepared.clear();
            self.cursors.clear();
            self.shared.settings().reset_all();
        }
        Ok(Tag::word(match what {
            Discard::All => "DISCARD ALL",
            Discard::Plans => "DISCARD PLANS",
            Discard::Sequences => "DISCARD SEQUENCES",
            Discard::Temporary => "DISCARD TEMP",
        }))
    }

    /// The portal that an `EXECUTE` means.
    pub(super) async fn executed(&mut self, name: &str, arguments: &[Expr], text: &str) -> SqlResult<Portal> {
        let types = self.describe(name).await?.parameters.clone();
        if types.len() != arguments.len() {
            let message = format!("wrong number of parameters for prepared statement \"{name}\"");
            let detail = format!("Expected {} parameters but got {}.", types.len(), arguments.len());
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).detail(detail));
        }
        let values = self.evaluate(arguments, &types, text)?;
        self.bind(name, values).await
    }

    /// Values of expressions without columns.
    fn evaluate(&self, expressions: &[Expr], types: &[SqlType], text: &str) -> SqlResult<Vec<Value>> {
        let (scope, mut params, env) = (Scope::new(), ParamTypes::new(), self.env());
        let mut binder = Binder::new(&scope, &mut params, &env).text(text).clause("EXECUTE parameters");
        let context = EvalContext::new(&env, &*self.shared);
        let pairs = expressions.iter().zip(types);
        pairs
            .map(|(expression, ty)| binder.bind_assigned(expression, "parameter", ty)?.eval(&[], &[], &context))
            .collect()
    }
}

/// `25001` for what cannot be taken back with a block.
pub(crate) fn check_no_block(block: bool, what: &str) -> SqlResult<()> {
    if block {
        let message = format!("{what} cannot run inside a transaction block");
        return Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message));
    }
    Ok(())
}
