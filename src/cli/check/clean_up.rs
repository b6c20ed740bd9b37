//! `--clean-up`: removes what a run that was killed has left behind.

use std::error::Error;

use annulus_probe::client::resp::Session;
use annulus_probe::client::sql::Connection;

use super::scratch::{KEYS, is_database};
use super::target::Target;
use crate::cli::print;

/// Why nothing can be done.
const NOBODY: &str = "none of the nodes can be reached";

/// Removes everything of all runs, through the first node that can be reached.
pub fn run(target: &Target) -> Result<(), Box<dyn Error>> {
    let removed = match target {
        Target::Resp(addresses) => {
            let mut session = addresses.iter().find_map(|address| Session::connect(address).ok()).ok_or(NOBODY)?;
            format!("keys: {}", remove_keys(&mut session)?)
        }
        Target::Sql(nodes) => {
            let mut node = nodes.strings().iter().find_map(|node| Connection::open(node).ok()).ok_or(NOBODY)?;
            format!("databases: {}", remove_databases(&mut node)?)
        }
    };
    print(&format!("Removed {removed}.\n"))
}

fn remove_keys(session: &mut Session) -> Result<usize, String> {
    let mut cursor = "0".to_owned();
    let mut removed = 0;
    loop {
        let (next, keys) = session.list(KEYS, &cursor)?;
        if !keys.is_empty() {
            session.remove(&keys)?;
            removed += keys.len();
        }
        if next == "0" {
            return Ok(removed);
        }
        cursor = next;
    }
}

fn remove_databases(node: &mut Connection) -> Result<usize, String> {
    let mut names = node.databases()?;
    names.retain(|name| is_database(name));
    names.iter().try_for_each(|name| node.remove_database(name))?;
    Ok(names.len())
}
