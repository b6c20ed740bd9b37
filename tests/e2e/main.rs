//! End-to-end tests: real `annulus` processes on loopback, real signals, real clients.
//!
//! Every test starts its own cluster in a directory of its own, waits for conditions and never for time,
//! and shows the end of each node's log when it fails. Nodes end with the test that started them.

mod client;
mod cluster;
mod load;
mod wait;

mod availability;
mod check;
mod command_line;
mod crashes;
mod demo;
mod disk;
mod floods;
mod hostile;
mod pages;
mod redis_tools;
mod rolling;
mod sql;
mod startup;
