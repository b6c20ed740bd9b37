//! `CREATE DATABASE`, `ALTER DATABASE`, `DROP DATABASE`.

use annulus_relation::catalog::{DatabaseInfo, load};
use annulus_relation::error::SqlState;
use annulus_relation::failure::Outcome;
use annulus_relation::{SqlError, SqlResult};
use annulus_ring::Consistency;
use annulus_txn::interface::{Database, When};

use crate::parse::{DatabaseOption, Statement};
use crate::session::answer::{News, Tag};
use crate::session::{Produced, check_no_block};
use crate::statement::Work;

/// Slots of a database that is partitioned by key and does not say how many.
const DEFAULT_SLOTS: u16 = 64;

/// Options of PostgreSQL's that say nothing here, or only what is so anyway.
const IGNORED: &[&str] = &[
    "owner",
    "template",
    "lc_collate",
    "lc_ctype",
    "locale",
    "locale_provider",
    "icu_locale",
    "collation_version",
    "tablespace",
    "allow_connections",
    "connection_limit",
    "is_template",
    "strategy",
    "oid",
];

/// What a statement about databases is called.
pub(crate) const fn database_statement(statement: &Statement) -> Option<&'static str> {
    match statement {
        Statement::CreateDatabase { .. } => Some("CREATE DATABASE"),
        Statement::RenameDatabase { .. } | Statement::AlterDatabase { .. } => Some("ALTER DATABASE"),
        Statement::DropDatabase { .. } => Some("DROP DATABASE"),
        _ => None,
    }
}

/// Runs a statement about databases.
pub(crate) async fn administer<D: Database>(
    work: &mut Work<'_, D>,
    statement: &Statement,
    what: &'static str,
) -> Outcome<Produced> {
    check_no_block(work.active.block, what)?;
    work.active.check_writable(what)?;
    let databases = work.server.databases(work.deadline.left()).await?;
    let transaction = &mut work.active.transaction;
    match statement {
        Statement::CreateDatabase { name, if_not_exists, options } => {
            if *if_not_exists && databases.get(name).is_ok() {
                notice(work, SqlState::DUPLICATE_DATABASE, format!("database \"{name}\" already exists, skipping"));
            } else {
                databases.create(transaction, described(name, options, work.server.db.replication_factor())?)?;
            }
        }
        Statement::RenameDatabase { name, to } => {
            if *name == work.shared.database {
                let message = "current database cannot be renamed";
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).into());
            }
            databases.alter(transaction, name, |info| info.name.clone_from(to))?;
        }
        Statement::AlterDatabase { name, options } => {
            databases.get(name)?;
            if let Some(option) = options.iter().find(|option| !IGNORED.contains(&option.name.as_str())) {
                let message = format!("changing {} of a database", option.name);
                return Err(SqlError::unsupported(message).at(option.position).into());
            }
        }
        Statement::DropDatabase { name, if_exists, .. } => {
            if *name == work.shared.database {
                let message = "cannot drop the currently open database";
                return Err(SqlError::new(SqlState::OBJECT_IN_USE, message).into());
            }
            if *if_exists && databases.get(name).is_err() {
                notice(work, SqlState::SUCCESSFUL_COMPLETION, format!("database \"{name}\" does not exist, skipping"));
            } else {
                let home = databases.get(name)?.home()?;
                let catalog = load(&work.server.db, home, When::Latest, work.deadline.left()).await?;
                databases.drop(transaction, name, &catalog)?;
            }
        }
        _ => return Err(SqlError::unsupported("this statement").into()),
    }
    Ok(Produced::tag(Tag::word(what)))
}

fn notice<D: Database>(work: &mut Work<'_, D>, state: SqlState, message: String) {
    work.news.push(News::Notice(SqlError::new(state, message)));
}

fn invalid(option: &DatabaseOption, message: String) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).at(option.position)
}

/// The database that options describe, with `factor` replicas unless they say otherwise.
fn described(name: &str, options: &[DatabaseOption], mut factor: u8) -> SqlResult<DatabaseInfo> {
    let (mut by_key, mut slots) = (None, None);
    for option in options {
        let Some(value) = &option.value else { continue };
        match option.name.as_str() {
            "basis" => {
                by_key = Some(match value.to_ascii_lowercase().as_str() {
                    "key" => true,
                    "name" => false,
                    _ => return Err(invalid(option, format!("basis must be 'name' or 'key', not '{value}'"))),
                });
            }
            "slots" => slots = Some(number(option, value)?),
            "replication_factor" => factor = number(option, value)?,
            "consistency" if value.eq_ignore_ascii_case("strong") => {}
            "consistency" => return Err(SqlError::unsupported(format!("consistency '{value}'")).at(option.position)),
            "encoding" => match value.to_ascii_lowercase().replace(['-', '_'], "").as_str() {
                "utf8" | "unicode" | "6" => {}
                _ => return Err(SqlError::unsupported(format!("encoding \"{value}\"")).at(option.position)),
            },
            ignored if IGNORED.contains(&ignored) => {}
            other => {
                let message = format!("option \"{other}\" not recognized");
                let hint = "A database has replication_factor, basis, slots and consistency.";
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).hint(hint).at(option.position));
            }
        }
    }
    let slots = match (by_key, slots) {
        (Some(false), Some(slots)) if slots != 1 => {
            let message = "a database with basis 'name' has one slot";
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        (Some(true), Some(1)) => {
            let message = "a database with basis 'key' has at least two slots";
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        (_, Some(slots)) => slots,
        (Some(true), None) => DEFAULT_SLOTS,
        (_, None) => 1,
    };
    let (number, consistency, comment) = (0, Consistency::Strong, None);
    Ok(DatabaseInfo { number, name: name.to_owned(), slots, replication_factor: factor, consistency, comment })
}

fn number<T: std::str::FromStr>(option: &DatabaseOption, value: &str) -> SqlResult<T> {
    value.parse().map_err(|_| invalid(option, format!("{} must be a whole number, not '{value}'", option.name)))
}
