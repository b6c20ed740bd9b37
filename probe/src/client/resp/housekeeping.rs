//! What is done before and after the transactions: nobody's history is about it.

use redis::Value;

use super::values::words;
use super::{Lost, Session};

/// Keys that a node looks at for one page.
const PAGE: &str = "1000";

impl Session {
    /// Makes sure that this is a node of Annulus, without changing anything.
    ///
    /// # Errors
    /// What it is or says instead.
    pub fn greet(&mut self) -> Result<(), String> {
        match self.ask(&["ANNULUS.LAST"])? {
            Value::ServerError(error) => Err(error.to_string()),
            _ => Ok(()),
        }
    }

    /// Removes keys, all at once or none.
    ///
    /// # Errors
    /// If they may still be there: why.
    pub fn remove(&mut self, keys: &[String]) -> Result<(), String> {
        let command: Vec<&str> = std::iter::once("DEL").chain(keys.iter().map(String::as_str)).collect();
        match self.ask(&command)? {
            Value::Int(_) => Ok(()),
            other => Err(format!("DEL answered {other:?}")),
        }
    }

    /// Some of the keys that begin with `prefix`, which is looked for as it is where no `*`, `?` or `[` is in it; and
    /// where the next ones are: the first are at "0", and after the last ones comes "0".
    ///
    /// # Errors
    /// If the node did not tell: why.
    pub fn list(&mut self, prefix: &str, cursor: &str) -> Result<(String, Vec<String>), String> {
        let answer = self.ask(&["SCAN", cursor, "MATCH", &format!("{prefix}*"), "COUNT", PAGE])?;
        redis::from_redis_value(answer).map_err(|error| format!("SCAN answered something else: {error}"))
    }

    fn ask(&mut self, command: &[&str]) -> Result<Value, String> {
        let mut answers = self.exchange(&[words(command)]).map_err(|Lost(why)| why)?;
        Ok(answers.pop().unwrap_or_default())
    }
}
