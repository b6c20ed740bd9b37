//! A session's settings: what `SET`, `SET LOCAL`, `RESET` and `SHOW` work on.
//!
//! Promises and invariants:
//! - A setting that has a value has a valid one.
//! - `SET` in a transaction is undone with it, `SET LOCAL` ends with it.

mod known;
mod parse;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use annulus_relation::error::SqlState;
use annulus_relation::value::{ByteaOutput, Env, IntervalStyle, KnownTypes, TimeZone};
use annulus_relation::{SqlError, SqlResult};

use crate::parse::Modes;

pub(crate) use known::canonical;
use known::{Kind, Known, find};
pub use known::{SERVER_VERSION, all_known};

/// The setting with the token of the next transaction.
const TOKEN: &str = "annulus.token";
const COPY_ATOMIC: &str = "annulus.copy_atomic";
/// The setting that says whether this transaction refuses to write; it is that of all transactions until a transaction says
/// something about itself.
pub(super) const READ_ONLY: &str = "transaction_read_only";
/// The same of deferrable ones.
pub(super) const DEFERRABLE: &str = "transaction_deferrable";

/// Values of settings, those that are used often in the form they are used in.
#[derive(Clone, Debug)]
struct Values {
    /// What differs from the defaults, by name.
    texts: BTreeMap<String, Arc<str>>,
    search_path: Arc<[String]>,
    zone: TimeZone,
    extra_float_digits: i32,
    bytea_output: ByteaOutput,
    dates: parse::Dates,
    interval_style: IntervalStyle,
    statement_timeout: Option<Duration>,
    lock_timeout: Option<Duration>,
    idle_in_transaction: Option<Duration>,
    idle_session: Option<Duration>,
    read_only: bool,
}

/// Settings at one point, to return to.
#[derive(Clone, Debug)]
pub struct Saved {
    session: Arc<Values>,
    current: Arc<Values>,
}

/// A session's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What `RESET` returns to: the defaults, and what the client said when it connected.
    initial: Arc<Values>,
    /// What holds when the transaction has committed.
    session: Arc<Values>,
    /// What holds now.
    current: Arc<Values>,
    /// What the client was last told of reported settings.
    told: BTreeMap<&'static str, String>,
    changed: bool,
}

impl Settings {
    /// The settings of a session that begins.
    ///
    /// # Errors
    /// `42704`, `22023` and others about what the client asked for.
    pub fn new(user: &str, asked: &[(String, String)]) -> SqlResult<Self> {
        let mut values = Values {
            texts: BTreeMap::new(),
            search_path: vec![user.to_owned(), "public".to_owned()].into(),
            zone: TimeZone::utc(),
            extra_float_digits: 1,
            bytea_output: ByteaOutput::Hex,
            dates: parse::Dates::default(),
            interval_style: IntervalStyle::default(),
            statement_timeout: None,
            lock_timeout: None,
            idle_in_transaction: None,
            idle_session: None,
            read_only: false,
        };
        values.texts.insert("session_authorization".to_owned(), user.into());
        for (name, value) in asked {
            let known = Self::settable(name)?;
            values.set(&known, name, std::slice::from_ref(value), user)?;
        }
        let values = Arc::new(values);
        let told = BTreeMap::new();
        Ok(Self { initial: Arc::clone(&values), session: Arc::clone(&values), current: values, told, changed: true })
    }

    /// A setting as `SHOW` prints it; `None` if there is none of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        let known = find(name);
        let text = self.current.texts.get(known.map_or(name, |known| known.name));
        match (text, known) {
            (Some(text), _) => Some(text.to_string()),
            (None, Some(known)) if known.name == READ_ONLY => Some(on_or_off(self.read_only()).to_owned()),
            (None, Some(known)) if known.name == DEFERRABLE => self.get("default_transaction_deferrable"),
            (None, Some(known)) => Some(known.default.to_owned()),
            (None, None) => None,
        }
    }

    /// As [`Settings::get`].
    ///
    /// # Errors
    /// `42704` if there is none of that name.
    pub fn show(&self, name: &str) -> SqlResult<String> {
        self.get(name).ok_or_else(|| unknown(name))
    }

    /// Sets a setting; `local`: until the transaction ends.
    ///
    /// # Errors
    /// `42704` if there is none of that name, `55P02` if it cannot be set, `22023` if the value is wrong.
    pub fn set(&mut self, name: &str, values: &[String], local: bool) -> SqlResult<()> {
        let known = Self::settable(name)?;
        let user = self.user();
        Arc::make_mut(&mut self.current).set(&known, name, values, &user)?;
        if !local {
            Arc::make_mut(&mut self.session).set(&known, name, values, &user)?;
        }
        self.changed = true;
        Ok(())
    }

    /// What this transaction says about itself.
    ///
    /// # Errors
    /// As [`Settings::set`].
    pub fn set_modes(&mut self, modes: Modes) -> SqlResult<()> {
        for (name, mode) in [(READ_ONLY, modes.read_only), (DEFERRABLE, modes.deferrable)] {
            if let Some(is_on) = mode {
                self.set(name, &[on_or_off(is_on).to_owned()], true)?;
            }
        }
        Ok(())
    }

    /// Sets a setting to what it was when the session began.
    ///
    /// # Errors
    /// As [`Settings::set`].
    pub fn reset(&mut self, name: &str, local: bool) -> SqlResult<()> {
        Self::settable(name)?;
        let name = find(name).map_or(name, |known| known.name);
        let initial = Arc::clone(&self.initial);
        Arc::make_mut(&mut self.current).copy(name, &initial);
        if !local {
            Arc::make_mut(&mut self.session).copy(name, &initial);
        }
        self.changed = true;
        Ok(())
    }

    /// All settings are again what they were when the session began.
    pub fn reset_all(&mut self) {
        (self.session, self.current) = (Arc::clone(&self.initial), Arc::clone(&self.initial));
        self.changed = true;
    }

    /// Where they stand, to return to.
    #[must_use]
    pub fn save(&self) -> Saved {
        Saved { session: Arc::clone(&self.session), current: Arc::clone(&self.current) }
    }

    /// Returns to where they stood: the transaction, or a part of it, was rolled back.
    pub fn restore(&mut self, saved: &Saved) {
        let same = Arc::ptr_eq(&self.current, &saved.current);
        (self.session, self.current) = (Arc::clone(&saved.session), Arc::clone(&saved.current));
        self.changed |= !same;
    }

    /// The transaction has ended: `SET LOCAL` no longer holds.
    pub fn end_transaction(&mut self) {
        if !Arc::ptr_eq(&self.current, &self.session) {
            self.current = Arc::clone(&self.session);
            self.changed = true;
        }
    }

    /// The reported settings whose value has changed since this was last asked, by the name that clients know.
    pub fn take_reported(&mut self) -> Vec<(&'static str, String)> {
        if !std::mem::take(&mut self.changed) {
            return Vec::new();
        }
        let reported = all_known().iter().filter_map(|known| Some((known.reported?, self.get(known.name)?)));
        let news: Vec<_> = reported.filter(|(name, value)| self.told.get(name) != Some(value)).collect();
        self.told.extend(news.iter().cloned());
        news
    }

    /// All settings: name, value and what it is about.
    #[must_use]
    pub fn all(&self) -> Vec<(String, String, &'static str)> {
        let known = all_known()
            .iter()
            .map(|known| (known.canonical().to_owned(), self.get(known.name).unwrap_or_default(), known.about));
        let own = self.current.texts.iter().filter(|(name, _)| find(name).is_none());
        let mut all: Vec<_> = known.chain(own.map(|(name, value)| (name.clone(), value.to_string(), ""))).collect();
        all.sort_by_cached_key(|(name, ..)| name.to_ascii_lowercase());
        all
    }

    /// What values are read and printed in, in a transaction that began at `now`.
    #[must_use]
    pub fn env(&self, now: i64) -> Env {
        let values = &self.current;
        Env {
            now,
            zone: values.zone.clone(),
            extra_float_digits: values.extra_float_digits,
            bytea_output: values.bytea_output,
            date_style: values.dates.0,
            date_order: values.dates.1,
            interval_style: values.interval_style,
            types: KnownTypes::default(),
        }
    }

    /// The names of the schemas in which names are looked up.
    #[must_use]
    pub fn search_path(&self) -> Arc<[String]> {
        Arc::clone(&self.current.search_path)
    }

    /// Who the session is of.
    #[must_use]
    pub fn user(&self) -> String {
        self.get("session_authorization").unwrap_or_default()
    }

    /// `statement_timeout`
    #[must_use]
    pub fn statement_timeout(&self) -> Option<Duration> {
        self.current.statement_timeout
    }

    /// `lock_timeout`
    #[must_use]
    pub fn lock_timeout(&self) -> Option<Duration> {
        self.current.lock_timeout
    }

    /// `idle_in_transaction_session_timeout`
    #[must_use]
    pub fn idle_in_transaction_timeout(&self) -> Option<Duration> {
        self.current.idle_in_transaction
    }

    /// `idle_session_timeout`
    #[must_use]
    pub fn idle_session_timeout(&self) -> Option<Duration> {
        self.current.idle_session
    }

    /// `annulus.copy_atomic`
    #[must_use]
    pub fn copies_atomically(&self) -> bool {
        self.get(COPY_ATOMIC).is_none_or(|value| value == "on")
    }

    /// `annulus.token`
    #[must_use]
    pub fn token(&self) -> Option<String> {
        self.get(TOKEN).filter(|token| !token.is_empty())
    }

    /// A token was used: the next transaction has none, unless it was set for one only.
    pub fn used_token(&mut self, token: &str) -> SqlResult<()> {
        if self.token().as_deref() == Some(token) { self.set(TOKEN, &[String::new()], false) } else { Ok(()) }
    }

    /// `default_transaction_read_only`
    #[must_use]
    pub fn read_only(&self) -> bool {
        self.current.read_only
    }

    /// The definition of a setting that can be set.
    fn settable(name: &str) -> SqlResult<Option<&'static Known>> {
        match find(name) {
            Some(Known { kind: Kind::Fixed, name, .. }) => {
                let message = format!("parameter \"{name}\" cannot be changed");
                Err(SqlError::new(SqlState::CANT_CHANGE_RUNTIME_PARAM, message))
            }
            Some(known) => Ok(Some(known)),
            // Clients may keep what they like under names with a dot.
            None if is_own(name) => Ok(None),
            None => Err(unknown(name)),
        }
    }
}

/// `22023` for what cannot be a token.
pub(super) fn check_token(token: &str) -> SqlResult<()> {
    annulus_txn::token::check(token.as_bytes())
        .map_err(|error| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, error.to_string()))
}

fn is_own(name: &str) -> bool {
    let word = |part: &str| {
        part.chars().next().is_some_and(|first| first.is_alphabetic() || first == '_')
            && part.chars().all(|character| character.is_alphanumeric() || matches!(character, '_' | '$'))
    };
    name.contains('.') && name.split('.').all(word)
}

const fn on_or_off(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}

fn unknown(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""))
}

impl Values {
    fn set(&mut self, known: &Option<&'static Known>, name: &str, values: &[String], user: &str) -> SqlResult<()> {
        let Some(known) = known else {
            self.texts.insert(name.to_owned(), values.join(", ").into());
            return Ok(());
        };
        let text = match known.kind {
            Kind::DateStyle => {
                self.dates = parse::dates(values, self.dates)?;
                parse::date_style(self.dates)
            }
            _ => parse::normal(known, values)?,
        };
        match known.name {
            "search_path" => self.search_path = parse::schemas(values, user),
            "timezone" => self.zone = parse::zone(&text)?,
            "extra_float_digits" => self.extra_float_digits = text.parse().unwrap_or(1),
            "bytea_output" => {
                self.bytea_output = if text == "escape" { ByteaOutput::Escape } else { ByteaOutput::Hex };
            }
            "intervalstyle" => self.interval_style = parse::interval_style(&text),
            "statement_timeout" => self.statement_timeout = parse::duration(known, values)?,
            "lock_timeout" => self.lock_timeout = parse::duration(known, values)?,
            "idle_in_transaction_session_timeout" => self.idle_in_transaction = parse::duration(known, values)?,
            "idle_session_timeout" => self.idle_session = parse::duration(known, values)?,
            "default_transaction_read_only" => self.read_only = text == "on",
            TOKEN if !text.is_empty() => check_token(&text)?,
            _ => {}
        }
        self.texts.insert(known.name.to_owned(), text.into());
        Ok(())
    }

    /// Takes one setting over.
    fn copy(&mut self, name: &str, from: &Self) {
        match from.texts.get(name) {
            Some(text) => self.texts.insert(name.to_owned(), Arc::clone(text)),
            None => self.texts.remove(name),
        };
        match name {
            "search_path" => self.search_path = Arc::clone(&from.search_path),
            "timezone" => self.zone = from.zone.clone(),
            "extra_float_digits" => self.extra_float_digits = from.extra_float_digits,
            "bytea_output" => self.bytea_output = from.bytea_output,
            "datestyle" => self.dates = from.dates,
            "intervalstyle" => self.interval_style = from.interval_style,
            "statement_timeout" => self.statement_timeout = from.statement_timeout,
            "lock_timeout" => self.lock_timeout = from.lock_timeout,
            "idle_in_transaction_session_timeout" => self.idle_in_transaction = from.idle_in_transaction,
            "idle_session_timeout" => self.idle_session = from.idle_session,
            "default_transaction_read_only" => self.read_only = from.read_only,
            _ => {}
        }
    }
}
