//! What is done before and after the transactions: nobody's history is about it.

use super::Connection;
use super::answer::Answer;

/// What nodes say of their version besides PostgreSQL's.
const OURS: &str = "(annulus ";

impl Connection {
    /// Makes sure that this is a node of Annulus, without changing anything.
    ///
    /// # Errors
    /// What it is or says instead.
    pub fn greet(&mut self) -> Result<(), String> {
        let answers = self.run("SELECT version()")?;
        match answers.first().and_then(Answer::value) {
            Some(version) if version.contains(OURS) => Ok(()),
            Some(version) => Err(format!("it is {version}")),
            None => Err("it does not tell its version".to_owned()),
        }
    }

    /// Makes a database that is spread over several partitions, so that transactions are, too.
    ///
    /// # Errors
    /// If it may not be there: why.
    pub fn make_database(&mut self, name: &str) -> Result<(), String> {
        self.run(&format!("CREATE DATABASE {name} WITH (basis = 'key', slots = 8)")).map(drop)
    }

    /// Removes a database with all that is in it. One that is not there is no error.
    ///
    /// # Errors
    /// If it may still be there: why.
    pub fn remove_database(&mut self, name: &str) -> Result<(), String> {
        self.run(&format!("DROP DATABASE IF EXISTS {name}")).map(drop)
    }

    /// The names of all databases.
    ///
    /// # Errors
    /// If the node did not tell: why.
    pub fn databases(&mut self) -> Result<Vec<String>, String> {
        let answers = self.run("SELECT datname FROM pg_database")?;
        Ok(answers.into_iter().flat_map(|answer| answer.rows).flatten().flatten().collect())
    }

    /// Makes a schema.
    ///
    /// # Errors
    /// If it may not be there: why.
    pub fn make_schema(&mut self, name: &str) -> Result<(), String> {
        self.run(&format!("CREATE SCHEMA {name}")).map(drop)
    }

    /// Removes a schema with all that is in it. One that is not there is no error.
    ///
    /// # Errors
    /// If it may still be there: why.
    pub fn remove_schema(&mut self, name: &str) -> Result<(), String> {
        self.run(&format!("DROP SCHEMA IF EXISTS {name} CASCADE")).map(drop)
    }

    fn run(&mut self, sql: &str) -> Result<Vec<Answer>, String> {
        self.ask(sql).map_err(|trouble| trouble.to_string())
    }
}
