//! Queries over tables in memory.

mod basics;
mod tpch;
mod world;
