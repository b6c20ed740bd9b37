//! Extensions. Their functions are part of the program: to create one is to ask whether it is there.

use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};
use annulus_txn::interface::Database;

use super::Session;
use super::answer::Tag;
use crate::parse::Extending;
use crate::system::EXTENSIONS;

impl<D: Database> Session<D> {
    /// `CREATE`, `ALTER` and `DROP EXTENSION`, and comments. `lenient`: what is not so, or is so already, is no error.
    pub(super) fn extend(&mut self, action: Extending, names: &[String], lenient: bool) -> SqlResult<Tag> {
        for name in names {
            let known = EXTENSIONS.iter().find(|extension| extension.name == name);
            match (action, known) {
                (Extending::Create, Some(known)) if known.is_language => {
                    let message = format!("extension \"{name}\" already exists");
                    if !lenient {
                        return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message));
                    }
                    self.notice(SqlError::new(SqlState::DUPLICATE_OBJECT, format!("{message}, skipping")));
                }
                (Extending::Create | Extending::Alter | Extending::Comment, Some(_)) => {}
                (Extending::Create, None) => return Err(unavailable(name)),
                (Extending::Drop, Some(_)) => {
                    let message = format!("the functions of extension \"{name}\" are always there");
                    self.notice(SqlError::new(SqlState::SUCCESSFUL_COMPLETION, message));
                }
                (Extending::Drop, None) if lenient => {
                    let message = format!("extension \"{name}\" does not exist, skipping");
                    self.notice(SqlError::new(SqlState::SUCCESSFUL_COMPLETION, message));
                }
                (Extending::Drop | Extending::Alter | Extending::Comment, None) => return Err(missing(name)),
            }
        }
        Ok(Tag::word(match action {
            Extending::Create => "CREATE EXTENSION",
            Extending::Alter => "ALTER EXTENSION",
            Extending::Drop => "DROP EXTENSION",
            Extending::Comment => "COMMENT",
        }))
    }
}

fn missing(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("extension \"{name}\" does not exist"))
}

fn unavailable(name: &str) -> SqlError {
    let all: Vec<&str> = EXTENSIONS.iter().map(|extension| extension.name).collect();
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("extension \"{name}\" is not available"))
        .hint(format!("There are {}.", all.join(", ")))
}
