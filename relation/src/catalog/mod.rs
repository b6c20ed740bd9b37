//! What a database knows about its objects: descriptors, how they are stored, read and changed.
//!
//! Promises and invariants:
//! - A [`Catalog`] is what the database was at one instant. It may be cached: a statement validates what it uses of
//!   it, in the partitions that it touches anyway, so that it is strictly serializable with changes of the catalog.
//! - Numbers of objects are never used again, but for those of temporary relations after two billion others.
//! - What is dropped is unreachable at once, and deleted in steps of bounded size.
//!
//! The layout is described in docs/internals/relations.md.

mod databases;
mod descriptor;
mod edit;
mod enumeration;
mod extending;
mod garbage;
mod home;
mod loaded;
mod loading;
mod numbers;
mod record;
mod rekeying;
mod reshaping;
mod retyping;
mod reverting;
mod store;
mod temporary;
#[cfg(test)]
mod tests;

pub use databases::{DEFAULT_DATABASE_NAME, DatabaseInfo, Databases, MAINTENANCE_DATABASE_NAME, sweep_databases};
pub use descriptor::{
    Action, Check, Column, ColumnId, ConstraintKind, Default, Deferral, ForeignKey, Identity, Index, IndexKey,
    IndexState, KeyPart, NotNull, ObjectId, Remarks, Schema, Sequence, Standing, Table, Unique, View,
};
pub use edit::Edit;
pub use enumeration::{Enumeration, Label, numbered_name};
pub use extending::{Extension, Then};
pub use garbage::{Swept, sweep};
pub use home::Home;
pub use loaded::{Catalog, FIRST_OBJECT, PUBLIC, Relation, Version};
pub use loading::{LONGEST, Load};
pub use numbers::{Numbers, take_numbers};
pub use rekeying::{Rekeying, Succession};
pub use reshaping::Reshaping;
pub use retyping::{Retyped, Retyping};
pub use store::load;
pub use temporary::{OWN, TEMPORARY, is_temporary, renew};
