//! Operations over a database in memory, with invariants checked from outside.

mod conflicts;
mod deferred;
mod extends;
mod fills;
mod foreign;
mod interleaved;
mod random;
mod rekeys;
mod retypes;
mod scans;
mod world;
mod writes;
