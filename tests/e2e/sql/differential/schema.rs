//! Tables as the generator knows them.

use annulus_base::rng::Rng;

/// The types of columns and expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Int,
    Big,
    Text,
    Bool,
    Numeric,
    Date,
    Timestamp,
}

impl Type {
    pub const ALL: [Self; 7] =
        [Self::Int, Self::Big, Self::Text, Self::Bool, Self::Numeric, Self::Date, Self::Timestamp];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Int => "integer",
            Self::Big => "bigint",
            Self::Text => "text",
            Self::Bool => "boolean",
            Self::Numeric => "numeric(12, 3)",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
        }
    }

    /// A constant, often one that occurs elsewhere too.
    pub fn constant(self, rng: &mut Rng) -> String {
        match self {
            Self::Int => (rng.below(24) as i64 - 4).to_string(),
            Self::Big if rng.one_in(4) => format!("{}", rng.below(1 << 40)),
            Self::Big => (rng.below(24) as i64 - 4).to_string(),
            Self::Text => {
                format!(
                    "'{}'",
                    rng.pick(&["", "a", "b", "ab", "Ab", "ä", "x y", "10", "%a_", "zz''z"]).expect("there are some")
                )
            }
            Self::Bool => if rng.one_in(2) { "true" } else { "false" }.to_owned(),
            Self::Numeric => format!("{}.{:03}", rng.below(50) as i64 - 10, rng.below(1000)),
            Self::Date => format!("DATE '2024-{:02}-{:02}'", 1 + rng.below(12), 1 + rng.below(28)),
            Self::Timestamp => {
                let (hour, minute) = (rng.below(24), rng.below(60));
                format!("TIMESTAMP '2024-02-{:02} {hour:02}:{minute:02}:00'", 1 + rng.below(29))
            }
        }
    }
}

#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    pub ty: Type,
    pub not_null: bool,
}

/// A table; its first column is `id integer PRIMARY KEY`.
#[derive(Clone, Debug)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    /// How many columns and indexes it ever had, so that names are new.
    pub names: usize,
    pub indexes: Vec<String>,
}

impl Table {
    pub fn new(name: &str, rng: &mut Rng) -> Self {
        let id = Column { name: "id".to_owned(), ty: Type::Int, not_null: true };
        let mut table = Self { name: name.to_owned(), columns: vec![id], names: 0, indexes: Vec::new() };
        for _ in 0..rng.between(2, 6) {
            let column = table.column(rng);
            table.columns.push(column);
        }
        table
    }

    /// A new column, not yet part of it.
    pub fn column(&mut self, rng: &mut Rng) -> Column {
        let ty = *rng.pick(&Type::ALL).expect("there are types");
        Column { name: self.fresh("c"), ty, not_null: rng.one_in(5) }
    }

    pub fn fresh(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    /// The statement that makes it.
    pub fn create(&self, rng: &mut Rng) -> String {
        let columns = self.columns.iter().skip(1).map(|column| {
            let not_null = if column.not_null { " NOT NULL" } else { "" };
            let default = if rng.one_in(3) { format!(" DEFAULT {}", column.ty.constant(rng)) } else { String::new() };
            let check = if column.ty == Type::Int && rng.one_in(2) {
                format!(" CHECK ({} < 15)", column.name)
            } else {
                String::new()
            };
            format!(", {} {}{not_null}{default}{check}", column.name, column.ty.name())
        });
        format!("CREATE TABLE {} (id integer PRIMARY KEY{})", self.name, columns.collect::<String>())
    }
}
