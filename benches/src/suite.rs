//! The two comparisons, and the workloads of both.

use clap::ValueEnum;

use crate::peer::Kind;

/// Which comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// Keys and values, over whatever protocol each database has for them.
    KeyValue,
    /// Tables and prepared statements.
    Sql,
}

impl Suite {
    /// The databases that are compared.
    pub const fn peers(self) -> &'static [Kind] {
        match self {
            Self::KeyValue => &[Kind::Annulus, Kind::Etcd, Kind::Postgres, Kind::Redis],
            Self::Sql => &[Kind::AnnulusSql, Kind::Postgres, Kind::Galera],
        }
    }

    /// The workloads they are compared with.
    pub const fn workloads(self) -> &'static [Workload] {
        use Workload::{Aggregate, Get, Hot, Mixed, Put, Range, Transfer, Update};
        match self {
            Self::KeyValue => &[Put, Get, Mixed, Transfer, Hot],
            Self::Sql => &[Put, Get, Update, Transfer, Range, Aggregate],
        }
    }
}

/// What one operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Workload {
    /// Write one random key of those that exist.
    Put,
    /// Read one random key, linearizably.
    Get,
    /// Put or get, each with probability 1/2.
    Mixed,
    /// Change one random row by its primary key; unlike a put it fails if there is no such row.
    Update,
    /// Move money between two of all accounts in a transaction, tried again until it commits.
    Transfer,
    /// The same between ten accounts.
    Hot,
    /// Read 100 successive rows in the order of their primary key.
    Range,
    /// Count the rows of a table of 100 000 and add up a column.
    Aggregate,
}

impl Workload {
    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
            Self::Mixed => "mixed",
            Self::Update => "update",
            Self::Transfer => "transfer",
            Self::Hot => "hot",
            Self::Range => "range",
            Self::Aggregate => "aggregate",
        }
    }

    /// Whether it moves money.
    pub const fn transfers(self) -> bool {
        matches!(self, Self::Transfer | Self::Hot)
    }

    /// Whether only a database with tables has it.
    pub const fn needs_tables(self) -> bool {
        matches!(self, Self::Update | Self::Range | Self::Aggregate)
    }
}
