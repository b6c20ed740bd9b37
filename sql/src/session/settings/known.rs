//! The settings that exist.

/// The version that clients are told: what we behave like.
pub const SERVER_VERSION: &str = "15.0";

/// What values a setting takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// It cannot be changed.
    Fixed,
    /// `on` or `off`
    Bool,
    /// A whole number in a range.
    Int(i64, i64),
    /// A floating-point number; only kept.
    Real,
    /// A span of time in milliseconds; 0 is none.
    Millis,
    /// A number of bytes in units of so many; only kept.
    Size,
    /// One of some words.
    Word(&'static [&'static str]),
    /// Any text.
    Text,
    /// A list of names.
    Names,
    /// A time zone.
    Zone,
    /// `ISO, MDY`: a style, and an order of parts.
    DateStyle,
    /// `UTF8` under its several names, or `SQL_ASCII`.
    Encoding,
}

/// A setting.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) default: &'static str,
    /// The name under which clients are told of its changes.
    pub(super) reported: Option<&'static str>,
    pub(super) about: &'static str,
}

const fn plain(name: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Known {
    Known { name, kind, default, reported: None, about }
}

const fn told(
    name: &'static str,
    reported: &'static str,
    kind: Kind,
    default: &'static str,
    about: &'static str,
) -> Known {
    Known { name, kind, default, reported: Some(reported), about }
}

const LEVELS: &[&str] = &["serializable", "repeatable read", "read committed", "read uncommitted"];
const MESSAGES: &[&str] =
    &["debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error", "info"];

const STYLES: &[&str] = &["postgres", "postgres_verbose", "sql_standard", "iso_8601"];

/// In the order of names.
static KNOWN: &[Known] = &[
    plain(
        "annulus.copy_atomic",
        Kind::Bool,
        "on",
        "Whether all rows of a COPY are committed at once; off: many rows for a table that has some may be committed in pieces.",
    ),
    plain("annulus.token", Kind::Text, "", "The next transaction that writes is committed at most once with it."),
    told("application_name", "application_name", Kind::Text, "", "The client's name, for pg_stat_activity."),
    plain("array_nulls", Kind::Bool, "on", "Accepted for compatibility."),
    plain(
        "backslash_quote",
        Kind::Word(&["safe_encoding", "on", "off"]),
        "safe_encoding",
        "Accepted for compatibility.",
    ),
    plain("bytea_output", Kind::Word(&["hex", "escape"]), "hex", "How bytea is printed."),
    plain("check_function_bodies", Kind::Bool, "on", "Accepted for compatibility."),
    told("client_encoding", "client_encoding", Kind::Encoding, "UTF8", "The client's character set."),
    plain("client_min_messages", Kind::Word(MESSAGES), "notice", "Which messages clients are sent."),
    told(
        "datestyle",
        "DateStyle",
        Kind::DateStyle,
        "ISO, MDY",
        "How dates are printed, and in which order their parts stand.",
    ),
    plain("default_table_access_method", Kind::Text, "heap", "Accepted for compatibility."),
    plain("default_tablespace", Kind::Text, "", "Accepted for compatibility."),
    plain("default_text_search_config", Kind::Text, "pg_catalog.simple", "Accepted for compatibility."),
    plain("default_toast_compression", Kind::Word(&["pglz", "lz4"]), "pglz", "Accepted for compatibility."),
    plain("default_transaction_deferrable", Kind::Bool, "off", "Accepted for compatibility."),
    plain(
        "default_transaction_isolation",
        Kind::Word(LEVELS),
        "serializable",
        "The isolation level of new transactions; all of them run as serializable.",
    ),
    told(
        "default_transaction_read_only",
        "default_transaction_read_only",
        Kind::Bool,
        "off",
        "Whether new transactions refuse to write.",
    ),
    plain("enable_bitmapscan", Kind::Bool, "on", "Accepted for compatibility."),
    plain("enable_hashjoin", Kind::Bool, "on", "Accepted for compatibility."),
    plain("enable_indexscan", Kind::Bool, "on", "Accepted for compatibility."),
    plain("enable_mergejoin", Kind::Bool, "on", "Accepted for compatibility."),
    plain("enable_nestloop", Kind::Bool, "on", "Accepted for compatibility."),
    plain("enable_seqscan", Kind::Bool, "on", "Accepted for compatibility."),
    plain("escape_string_warning", Kind::Bool, "on", "Accepted for compatibility."),
    plain("extra_float_digits", Kind::Int(-15, 3), "1", "How floating-point numbers are printed."),
    plain("geqo", Kind::Bool, "on", "Accepted for compatibility."),
    plain("geqo_threshold", Kind::Int(2, i32::MAX as i64), "12", "Accepted for compatibility."),
    plain(
        "idle_in_transaction_session_timeout",
        Kind::Millis,
        "0",
        "A session that is idle in a transaction for longer is ended.",
    ),
    plain("idle_session_timeout", Kind::Millis, "0", "A session that is idle for longer is ended."),
    told("in_hot_standby", "in_hot_standby", Kind::Fixed, "off", "Always off: every node is equal."),
    told("integer_datetimes", "integer_datetimes", Kind::Fixed, "on", "Always on."),
    told("intervalstyle", "IntervalStyle", Kind::Word(STYLES), "postgres", "How intervals are printed."),
    told("is_superuser", "is_superuser", Kind::Fixed, "on", "There are no users with fewer rights yet."),
    plain("jit", Kind::Bool, "off", "Accepted for compatibility."),
    plain("lc_collate", Kind::Fixed, "C", "The order of text."),
    plain("lc_ctype", Kind::Fixed, "C", "The classes of characters."),
    plain("lc_messages", Kind::Text, "C", "The language of messages."),
    plain("lc_monetary", Kind::Text, "C", "Accepted for compatibility."),
    plain("lc_numeric", Kind::Text, "C", "Accepted for compatibility."),
    plain("lc_time", Kind::Text, "C", "Accepted for compatibility."),
    plain("lock_timeout", Kind::Millis, "0", "How long a statement waits for a lock."),
    plain("log_min_duration_statement", Kind::Int(-1, i32::MAX as i64), "-1", "Accepted; slow_statement decides."),
    plain("maintenance_work_mem", Kind::Size, "64MB", "Accepted for compatibility."),
    plain("max_identifier_length", Kind::Fixed, "63", "The longest name in bytes."),
    plain("max_index_keys", Kind::Fixed, "32", "The most columns of an index."),
    plain("max_parallel_workers_per_gather", Kind::Int(0, 1024), "0", "Accepted for compatibility."),
    plain("max_prepared_transactions", Kind::Fixed, "0", "There are no prepared transactions."),
    plain(
        "plan_cache_mode",
        Kind::Word(&["auto", "force_generic_plan", "force_custom_plan"]),
        "auto",
        "Accepted for compatibility.",
    ),
    plain("quote_all_identifiers", Kind::Bool, "off", "Accepted for compatibility."),
    plain("random_page_cost", Kind::Real, "4", "Accepted for compatibility."),
    plain("role", Kind::Text, "none", "Accepted for compatibility."),
    plain("row_security", Kind::Bool, "on", "Accepted for compatibility."),
    plain("search_path", Kind::Names, "\"$user\", public", "Where names without a schema are looked up."),
    plain("server_encoding", Kind::Fixed, "UTF8", "The database's character set."),
    told("server_version", "server_version", Kind::Fixed, SERVER_VERSION, "Which PostgreSQL this behaves like."),
    plain("server_version_num", Kind::Fixed, "150000", "The same as a number."),
    told("session_authorization", "session_authorization", Kind::Text, "", "The session's user."),
    told(
        "standard_conforming_strings",
        "standard_conforming_strings",
        Kind::Word(&["on"]),
        "on",
        "Always on: a backslash in a string is a backslash.",
    ),
    plain("statement_timeout", Kind::Millis, "0", "How long a statement may take."),
    plain("synchronize_seqscans", Kind::Bool, "on", "Accepted for compatibility."),
    plain("synchronous_commit", Kind::Text, "on", "Always on: whatever is acknowledged is durable on a majority."),
    plain("tcp_keepalives_idle", Kind::Int(0, i32::MAX as i64), "0", "Accepted for compatibility."),
    told("timezone", "TimeZone", Kind::Zone, "UTC", "The time zone of times without one."),
    plain("transaction_deferrable", Kind::Bool, "off", "Accepted for compatibility."),
    plain("transaction_isolation", Kind::Word(LEVELS), "serializable", "The isolation level of this transaction."),
    plain("transaction_read_only", Kind::Bool, "off", "Whether this transaction refuses to write."),
    plain("vacuum_cost_delay", Kind::Real, "0", "Accepted for compatibility."),
    plain("work_mem", Kind::Size, "4MB", "Accepted for compatibility; the node's queries share their memory."),
    plain("xmloption", Kind::Word(&["content", "document"]), "content", "Accepted for compatibility."),
];

/// All settings, in the order of names.
#[must_use]
pub fn all_known() -> &'static [Known] {
    KNOWN
}

impl Known {
    /// Its name as `SHOW` and the system catalog spell it.
    pub(super) fn canonical(&self) -> &'static str {
        self.reported.unwrap_or(self.name)
    }
}

/// A setting's name as `SHOW` spells it; one that is not known stays as it is.
pub(crate) fn canonical(name: &str) -> &str {
    find(name).map_or(name, |known| known.canonical())
}

/// A setting by name, whatever the case.
pub(super) fn find(name: &str) -> Option<&'static Known> {
    let name = name.to_ascii_lowercase();
    let index = KNOWN.binary_search_by(|known| known.name.cmp(&name)).ok()?;
    KNOWN.get(index)
}
