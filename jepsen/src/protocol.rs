//! What clients speak.

use std::fmt;
use std::str::FromStr;

use annulus_check::workload::Kind;
use annulus_probe::client::Protocol as Spoken;
use annulus_probe::client::sql::{Layout, Schema};

/// What clients speak, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The Redis protocol.
    Resp,
    /// SQL over the PostgreSQL protocol.
    Sql,
    /// The same, while somebody changes the tables all the time.
    SqlSchema,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Resp, Self::Sql, Self::SqlSchema];

    /// The name used on command lines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resp => "resp",
            Self::Sql => "sql",
            Self::SqlSchema => "sql-schema",
        }
    }

    /// What it is.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::Resp => "the Redis protocol",
            Self::Sql => "SQL over the PostgreSQL protocol",
            Self::SqlSchema => "the same, while indexes, columns and constraints come and go",
        }
    }

    /// What clients of a workload speak; the number chooses among tables.
    #[must_use]
    pub const fn spoken(self, workload: Kind, number: u64) -> Spoken {
        match self {
            Self::Resp => Spoken::Resp,
            Self::Sql | Self::SqlSchema => {
                Spoken::Sql(Schema { layout: Layout::of(workload, number), changing: matches!(self, Self::SqlSchema) })
            }
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == name).ok_or_else(|| {
            format!("there is no protocol '{name}'; there are: {}", Self::ALL.map(Self::name).join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        for protocol in Protocol::ALL {
            assert_eq!(protocol.to_string().parse(), Ok(protocol));
        }
        assert!("odbc".parse::<Protocol>().unwrap_err().contains("there are: resp, sql, sql-schema"));
    }
}
