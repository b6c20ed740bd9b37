//! Which tables hold the keys.

use annulus_check::workload::Kind;

/// Where keys are, and what else happens to the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    /// Which tables there are.
    pub layout: Layout,
    /// Whether somebody changes them all the time.
    pub changing: bool,
}

/// Which tables there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Keys are a table's primary key.
    Primary,
    /// Keys are unique beside another primary key.
    Unique,
    /// As `Primary`, with so many other rows that a query over the whole table keeps its columns.
    Wide,
    /// Parents, and children that refer to them: `annulus_check::foreign_keys`.
    Families,
}

const LEDGER: &str = "CREATE TABLE ledger (token text PRIMARY KEY, outcome text NOT NULL)";

impl Layout {
    /// One that fits to a workload, by a number.
    #[must_use]
    pub const fn of(kind: Kind, number: u64) -> Self {
        match kind {
            Kind::ForeignKeys => Self::Families,
            _ => [Self::Primary, Self::Unique, Self::Wide][(number % 3) as usize],
        }
    }

    /// The statements that make them.
    pub(super) const fn tables(self) -> &'static [&'static str] {
        match self {
            Self::Primary => &[LEDGER, "CREATE TABLE kv (k bigint PRIMARY KEY, v bigint, l text)"],
            Self::Unique => &[
                LEDGER,
                "CREATE TABLE kv (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), k bigint NOT NULL UNIQUE, v bigint, l text)",
            ],
            Self::Wide => &[
                LEDGER,
                "CREATE TABLE kv (k bigint PRIMARY KEY, v bigint, l text)",
                "INSERT INTO kv (k) SELECT -n FROM generate_series(1, 1500) AS n",
            ],
            Self::Families => &[
                LEDGER,
                "CREATE TABLE parents (k bigint PRIMARY KEY)",
                "CREATE TABLE children (k bigint PRIMARY KEY, parent bigint NOT NULL REFERENCES parents (k))",
                // Parents that were removed.
                "CREATE TABLE gone (k bigint PRIMARY KEY)",
            ],
        }
    }

    /// A table that can be changed without anybody's statement becoming wrong, and one of its columns.
    pub(super) const fn changeable(self) -> (&'static str, &'static str) {
        match self {
            Self::Primary | Self::Unique | Self::Wide => ("kv", "v"),
            Self::Families => ("children", "parent"),
        }
    }
}
