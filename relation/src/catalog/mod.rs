//! What the database knows about its objects: descriptors, as they are stored.

mod descriptor;

pub use descriptor::{
    Action, Check, Column, ColumnId, ConstraintKind, Default, ForeignKey, Identity, Index, IndexKey, IndexState,
    KeyPart, ObjectId, Schema, Sequence, Table, View,
};
