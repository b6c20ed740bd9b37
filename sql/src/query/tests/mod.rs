//! Queries over tables in memory.

mod basics;
mod plans;
mod tools;
mod tpch;
mod world;
