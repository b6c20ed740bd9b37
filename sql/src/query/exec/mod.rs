//! Tables as DataFusion sees them: what is read, with which index, and how much that will be.

mod bounds;
mod filter;
mod leaf;
mod provider;
mod rows;
mod scan;
mod shared;

pub(super) use provider::{TableScan, UNKNOWN_ROWS};
pub(super) use rows::{RowSource, Rows, RowsTable};
pub(super) use scan::ScanExec;
pub(super) use shared::{Shared, SharedExec, SharedTable};
