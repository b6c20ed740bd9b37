//! Descriptors of schemas, tables, indexes, constraints, sequences and views.
//!
//! Expressions are kept as SQL text in a normal form (names resolved to plain column names of the table).

use std::collections::BTreeMap;

use wincode::{SchemaRead, SchemaWrite};

use super::{Extension, Rekeying, Reshaping, Retyping};
use crate::value::{SqlType, Value};

/// The number of an object (schema, table, index, sequence, view) within its database. Never reused.
pub type ObjectId = u32;
/// The number of a column within its table. Never reused; `attnum` of the system catalog.
pub type ColumnId = u16;

/// A schema.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Schema {
    /// Its number.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// What `COMMENT` said.
    pub comment: Option<String>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Table {
    /// Its number.
    pub id: ObjectId,
    /// Its schema.
    pub schema: ObjectId,
    /// Its name.
    pub name: String,
    /// Which generation of data is its own: `TRUNCATE` and a rewrite begin a new one.
    pub generation: u32,
    /// Its columns in order, without those dropped.
    pub columns: Vec<Column>,
    /// The number of the next column.
    pub next_column: ColumnId,
    /// Its indexes. The first is the primary one, which holds the rows: over the primary key, or over a
    /// hidden row id (`keys` is empty then) where none was declared.
    pub indexes: Vec<Index>,
    /// `CHECK` constraints.
    pub checks: Vec<Check>,
    /// Foreign keys of this table.
    pub foreign_keys: Vec<ForeignKey>,
    /// Tables whose foreign keys refer to this one.
    pub referenced_by: Vec<ObjectId>,
    /// What `COMMENT` said.
    pub comment: Option<String>,
    /// What `COMMENT` said about constraints, by their names. Stored behind the others, if there is any.
    #[wincode(skip(default_val = Remarks::new()))]
    pub remarks: Remarks,
}

/// What was said about constraints, by their names.
pub type Remarks = BTreeMap<String, String>;

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Column {
    /// Its number.
    pub id: ColumnId,
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: SqlType,
    /// Whether NULL is refused.
    pub not_null: NotNull,
    /// Where its value comes from if none is given.
    pub default: Option<Default>,
    /// What rows have that were stored before the column was added: a value's encoding (see the row codec);
    /// `None` is NULL.
    pub missing: Option<Vec<u8>>,
    /// What `COMMENT` said.
    pub comment: Option<String>,
}

/// Whether a column refuses NULL: a byte, which was a bool at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
#[wincode(tag_encoding = "u8")]
pub enum NotNull {
    /// No.
    No,
    /// Yes, and no row has one.
    Yes,
    /// Yes, but the rows that were there before are still looked at.
    Pending,
}

impl NotNull {
    /// What a table has that has no rows yet.
    #[must_use]
    pub const fn new(is_declared: bool) -> Self {
        if is_declared { Self::Yes } else { Self::No }
    }

    /// Whether rows that are written may not have NULL.
    #[must_use]
    pub const fn is_declared(self) -> bool {
        matches!(self, Self::Yes | Self::Pending)
    }

    /// Whether no row has NULL.
    #[must_use]
    pub const fn is_certain(self) -> bool {
        matches!(self, Self::Yes)
    }

    /// Whether the rows that were there before are being looked at.
    #[must_use]
    pub const fn is_pending(self) -> bool {
        matches!(self, Self::Pending)
    }
}

/// Where a column's value comes from.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Default {
    /// `DEFAULT expression`
    Expression(String),
    /// `GENERATED ... AS IDENTITY` over a sequence of its own.
    Identity(Identity, ObjectId),
    /// `GENERATED ALWAYS AS (expression) STORED`
    Generated(String),
}

/// Whether an identity column may be given a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Identity {
    /// Only with `OVERRIDING SYSTEM VALUE`.
    Always,
    /// Yes.
    ByDefault,
}

/// An index.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Index {
    /// Its number.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// Whether no two rows may have equal keys.
    pub unique: Unique,
    /// Its keys, in order.
    pub keys: Vec<IndexKey>,
    /// `INCLUDE`
    pub include: Vec<ColumnId>,
    /// `WHERE`: only rows for which this is true are in it.
    pub predicate: Option<String>,
    /// Which constraint it enforces.
    pub constraint: Option<ConstraintKind>,
    /// Whether it may be read.
    pub state: IndexState,
    /// What `COMMENT` said.
    pub comment: Option<String>,
}

/// Whether no two rows may have equal keys in an index: a byte, which was a bool at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
#[wincode(tag_encoding = "u8")]
pub enum Unique {
    /// They may.
    No,
    /// They may not; NULLs differ.
    Yes,
    /// They may not, and NULLs are equal: `NULLS NOT DISTINCT`.
    WithNulls,
}

impl Unique {
    /// What is so in general.
    #[must_use]
    pub const fn new(is_unique: bool) -> Self {
        if is_unique { Self::Yes } else { Self::No }
    }

    /// The same, with NULLs that are equal.
    #[must_use]
    pub const fn with_nulls(self, are_equal: bool) -> Self {
        match self {
            Self::No => Self::No,
            Self::Yes | Self::WithNulls => {
                if are_equal {
                    Self::WithNulls
                } else {
                    Self::Yes
                }
            }
        }
    }

    /// Whether nobody else may have these keys.
    #[must_use]
    pub fn claims(self, keys: &[Value]) -> bool {
        match self {
            Self::No => false,
            Self::Yes => !keys.iter().any(Value::is_null),
            Self::WithNulls => true,
        }
    }
}

impl Index {
    /// Whether no two rows may have equal keys.
    #[must_use]
    pub const fn is_unique(&self) -> bool {
        !matches!(self.unique, Unique::No)
    }

    /// The columns that its keys are, in the order of their numbers; `None` if one is an expression.
    #[must_use]
    pub fn key_columns(&self) -> Option<Vec<ColumnId>> {
        let column = |key: &IndexKey| match key.part {
            KeyPart::Column(id) => Some(id),
            KeyPart::Expression(..) => None,
        };
        let mut columns: Vec<ColumnId> = self.keys.iter().map(column).collect::<Option<_>>()?;
        columns.sort_unstable();
        Some(columns)
    }
}

/// A part of an index's key.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct IndexKey {
    /// What is indexed.
    pub part: KeyPart,
    /// Largest first.
    pub descending: bool,
    /// Where NULLs stand.
    pub nulls_first: bool,
}

/// What is indexed.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum KeyPart {
    /// A column.
    Column(ColumnId),
    /// An expression over the row, and its type.
    Expression(String, SqlType),
}

/// A constraint that an index enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum ConstraintKind {
    /// `PRIMARY KEY`
    PrimaryKey,
    /// `UNIQUE`
    Unique,
}

/// How far an index is.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum IndexState {
    /// Kept up by every write, being filled with the rows that were there before; not read yet.
    Filling {
        /// Rows whose key is below have been entered (per partition slot: an encoded key, empty at first).
        done: Vec<(u16, Vec<u8>)>,
        /// How many rows were entered.
        rows: u64,
    },
    /// Complete.
    Ready,
    /// Complete. It is the primary index of a table that is given a primary key, another one, or none any more.
    Rekeyed(Rekeying),
    /// Complete. It is the primary index of a table of which columns are given other types.
    Retyped(Retyping),
    /// Complete. It is the primary index of a table that is given columns whose values differ from row to row.
    Extended(Extension),
    /// Complete. It is the primary index of a table that is given another primary key, or none, and changes otherwise with
    /// that.
    Reshaped(Reshaping),
}

impl IndexState {
    /// Whether the index holds all that it is about.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        !matches!(self, Self::Filling { .. })
    }
}

/// A `CHECK` constraint.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// What must not be false.
    pub expression: String,
    /// Whether it is validated.
    pub standing: Standing,
}

/// A foreign key.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct ForeignKey {
    /// Its name.
    pub name: String,
    /// The columns.
    pub columns: Vec<ColumnId>,
    /// The table referred to.
    pub parent: ObjectId,
    /// The columns referred to: those of a primary key or unique constraint, in the order of `columns`.
    pub parent_columns: Vec<ColumnId>,
    /// `ON DELETE`
    pub on_delete: Action,
    /// `ON UPDATE`
    pub on_update: Action,
    /// Whether it is validated, and when it is checked.
    pub standing: Standing,
}

impl Table {
    /// Whether there is a constraint of a name.
    #[must_use]
    pub fn has_constraint(&self, name: &str) -> bool {
        self.constraint_names().any(|other| other == name)
    }

    /// The names of its constraints, also of foreign keys to come.
    pub fn constraint_names(&self) -> impl Iterator<Item = &str> {
        let checks = self.checks.iter().map(|check| &check.name);
        let keys = self.all_foreign_keys().map(|key| &key.name);
        let indexes = self.indexes.iter().filter(|index| index.constraint.is_some()).map(|index| &index.name);
        checks.chain(keys).chain(indexes).map(String::as_str)
    }

    /// Whether it has a foreign key to a table.
    #[must_use]
    pub fn refers_to(&self, table: ObjectId) -> bool {
        self.all_foreign_keys().any(|key| key.parent == table)
    }

    /// A constraint has another name: what was said about it is said about that.
    pub fn move_remark(&mut self, from: &str, to: &str) {
        if let Some(remark) = self.remarks.remove(from) {
            self.remarks.insert(to.to_owned(), remark);
        }
    }

    /// How a check or a foreign key of a name stands.
    #[must_use]
    pub fn standing(&self, constraint: &str) -> Option<Standing> {
        let checks = self.checks.iter().filter(|check| check.name == constraint).map(|check| check.standing);
        let keys = self.foreign_keys.iter().filter(|key| key.name == constraint).map(|key| key.standing);
        checks.chain(keys).next()
    }

    /// The same, to be changed; also of one that refers to the primary key to come.
    pub fn standing_mut(&mut self, constraint: &str) -> Option<&mut Standing> {
        let coming = match self.indexes.first_mut().map(|primary| &mut primary.state) {
            Some(IndexState::Reshaped(reshaping)) => reshaping.foreign_keys.as_mut_slice(),
            _ => &mut [],
        };
        let checks = self.checks.iter_mut().filter(|check| check.name == constraint).map(|check| &mut check.standing);
        let keys = self.foreign_keys.iter_mut().chain(coming);
        let keys = keys.filter(|key| key.name == constraint).map(|key| &mut key.standing);
        checks.chain(keys).next()
    }
}

/// Whether a check or a foreign key is validated, and when it is checked: the bits of a byte, which was a bool (validated
/// or not) at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Standing(u8);

/// When a constraint is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Deferral {
    /// `NOT DEFERRABLE`: at the end of each statement.
    Never,
    /// `DEFERRABLE INITIALLY IMMEDIATE`: at the end of each statement, unless a transaction says otherwise.
    Possible,
    /// `DEFERRABLE INITIALLY DEFERRED`: at the end of the transaction, unless it says otherwise.
    Usual,
}

impl Standing {
    /// The rows that were there before have been found to keep it.
    const VALIDATED: u8 = 1;
    const DEFERRABLE: u8 = 2;
    const DEFERRED: u8 = 4;
    /// It was declared `NOT VALID`: such rows are left alone.
    const LEFT: u8 = 8;
    /// `VALIDATE CONSTRAINT` was said of it nevertheless.
    const ASKED: u8 = 16;

    /// What holds for a constraint that is never deferred.
    #[must_use]
    pub const fn new(validated: bool) -> Self {
        Self(if validated { Self::VALIDATED } else { 0 })
    }

    /// The same, checked then.
    #[must_use]
    pub const fn with_deferral(self, deferral: Deferral) -> Self {
        let bits = match deferral {
            Deferral::Never => 0,
            Deferral::Possible => Self::DEFERRABLE,
            Deferral::Usual => Self::DEFERRABLE | Self::DEFERRED,
        };
        Self(self.0 & !(Self::DEFERRABLE | Self::DEFERRED) | bits)
    }

    /// Whether the rows that were there before have been found to keep it.
    #[must_use]
    pub const fn is_validated(self) -> bool {
        self.0 & Self::VALIDATED != 0
    }

    /// Whether they are being looked at.
    #[must_use]
    pub const fn is_pending(self) -> bool {
        !self.is_validated() && (self.0 & Self::LEFT == 0 || self.0 & Self::ASKED != 0)
    }

    /// When it is checked.
    #[must_use]
    pub const fn deferral(self) -> Deferral {
        match (self.0 & Self::DEFERRABLE != 0, self.0 & Self::DEFERRED != 0) {
            (false, _) => Deferral::Never,
            (true, false) => Deferral::Possible,
            (true, true) => Deferral::Usual,
        }
    }

    /// The same, validated.
    #[must_use]
    pub const fn validated(self) -> Self {
        Self(self.0 & !(Self::LEFT | Self::ASKED) | Self::VALIDATED)
    }

    /// The same, `NOT VALID`.
    #[must_use]
    pub const fn left(self) -> Self {
        Self(self.0 & !(Self::VALIDATED | Self::ASKED) | Self::LEFT)
    }

    /// The same, to be validated.
    #[must_use]
    pub const fn asked(self) -> Self {
        if self.is_validated() { self } else { Self(self.0 | Self::ASKED) }
    }

    /// What becomes of it if the rows do not keep it: it is `NOT VALID` again; nothing, if it was not so before.
    #[must_use]
    pub const fn refuted(self) -> Option<Self> {
        match (self.is_pending(), self.0 & Self::LEFT != 0) {
            (false, _) => Some(self),
            (true, true) => Some(Self(self.0 & !Self::ASKED)),
            (true, false) => None,
        }
    }
}

/// What happens to the children when their parent goes.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Action {
    /// It is refused, at the end of the statement.
    NoAction,
    /// It is refused.
    Restrict,
    /// They go, or change, too.
    Cascade,
    /// Their columns become NULL.
    SetNull,
    /// Their columns take their defaults.
    SetDefault,
    /// Some of their columns become NULL. Only when their parent goes.
    SetNullOf(Vec<ColumnId>),
    /// Some of their columns take their defaults. Only when their parent goes.
    SetDefaultOf(Vec<ColumnId>),
}

impl Action {
    /// The columns that become NULL or take their defaults, if not all of the key's.
    #[must_use]
    pub fn columns(&self) -> Option<&[ColumnId]> {
        match self {
            Self::SetNullOf(columns) | Self::SetDefaultOf(columns) => Some(columns),
            _ => None,
        }
    }
}

/// A sequence.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Sequence {
    /// Its number.
    pub id: ObjectId,
    /// Its schema.
    pub schema: ObjectId,
    /// Its name.
    pub name: String,
    /// Its type: one of the integers.
    pub ty: SqlType,
    /// The first value.
    pub start: i64,
    /// By how much values differ.
    pub increment: i64,
    /// The least value.
    pub min: i64,
    /// The greatest value.
    pub max: i64,
    /// How many values a node takes at a time.
    pub cache: i64,
    /// Whether it begins anew at its end.
    pub cycle: bool,
    /// The column that it belongs to, and goes with.
    pub owner: Option<(ObjectId, ColumnId)>,
    /// What `COMMENT` said.
    pub comment: Option<String>,
}

/// A view.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct View {
    /// Its number.
    pub id: ObjectId,
    /// Its schema.
    pub schema: ObjectId,
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<(String, SqlType)>,
    /// Its query, as SQL text with qualified names.
    pub query: String,
    /// What it reads: tables and views.
    pub reads: Vec<ObjectId>,
    /// What `COMMENT` said.
    pub comment: Option<String>,
    /// Up to which column it knows each of what it reads: those that came later are not there for its query. Stored behind
    /// the others; there is none for what older versions of the program have written.
    #[wincode(skip(default_val = Vec::new()))]
    pub knows: Vec<ColumnId>,
}

impl View {
    /// The last column that it knows of what it reads; `None`: all.
    pub fn knows(&self, relation: ObjectId) -> Option<ColumnId> {
        let place = self.reads.iter().position(|read| *read == relation)?;
        self.knows.get(place).copied()
    }
}
