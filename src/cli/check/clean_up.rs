//! `--clean-up`: removes what a run that was killed has left behind.

use std::error::Error;

use annulus_probe::client::resp::Session;

use super::PREFIX;
use crate::cli::print;

/// Removes all keys of all runs, through the first node that can be reached.
pub fn run(addresses: &[String]) -> Result<(), Box<dyn Error>> {
    let mut session = addresses.iter().find_map(|address| Session::connect(address).ok());
    let session = session.as_mut().ok_or("none of the nodes can be reached")?;
    let mut cursor = "0".to_owned();
    let mut removed = 0;
    loop {
        let (next, keys) = session.list(PREFIX, &cursor)?;
        if !keys.is_empty() {
            session.remove(&keys)?;
            removed += keys.len();
        }
        if next == "0" {
            print(&format!("{removed} keys removed.\n"))?;
            return Ok(());
        }
        cursor = next;
    }
}
