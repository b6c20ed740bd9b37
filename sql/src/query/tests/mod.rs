//! Queries over tables in memory.

mod basics;
mod world;
