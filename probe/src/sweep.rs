//! Removes what a course has left in a cluster that goes on, through any node, as long as there is patience.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::Duration;

use annulus_check::history::{History, Key, Step};

use crate::Patience;
use crate::client::resp::{Session, name};
use crate::client::sql::Connection;

/// Keys removed by one command.
const AT_ONCE: usize = 100;
/// Pause before another try.
const PAUSE: Duration = Duration::from_millis(50);

/// Removes every key that a history is about. Whether none is there any more.
#[must_use]
pub fn keys(addresses: &[String], prefix: &str, history: &History, patience: &Patience) -> bool {
    let keys: BTreeSet<Key> = history.ops.iter().flat_map(|op| &op.steps).map(Step::key).collect();
    let mut names: Vec<String> = keys.into_iter().map(|key| name(prefix, key)).collect();
    insist(addresses, patience, |address| {
        let mut session = Session::connect(address).ok();
        while let (Some(session), false) = (&mut session, names.is_empty()) {
            let rest = names.len().saturating_sub(AT_ONCE);
            if session.remove(&names[rest..]).is_err() {
                break;
            }
            names.truncate(rest);
        }
        names.is_empty()
    })
}

/// Removes a schema with all its tables. Whether it is not there any more.
#[must_use]
pub fn schema(nodes: &[String], name: &str, patience: &Patience) -> bool {
    insist(nodes, patience, |node| Connection::open(node).is_ok_and(|mut node| node.remove_schema(name).is_ok()))
}

/// Removes a database with all that is in it. Whether it is not there any more.
#[must_use]
pub fn database(nodes: &[String], name: &str, patience: &Patience) -> bool {
    insist(nodes, patience, |node| Connection::open(node).is_ok_and(|mut node| node.remove_database(name).is_ok()))
}

/// Whether it could be done at some node.
fn insist(nodes: &[String], patience: &Patience, mut done: impl FnMut(&str) -> bool) -> bool {
    for node in nodes.iter().cycle() {
        if done(node) {
            return true;
        }
        if patience.is_over() {
            break;
        }
        sleep(PAUSE);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_tried_at_one_node_after_the_other() {
        let nodes = ["a", "b", "c"].map(str::to_owned);
        let patience = Patience::new(Duration::ZERO);
        let mut asked = Vec::new();
        let mut until = |last: &str, patience: &Patience| {
            insist(&nodes, patience, |node| {
                asked.push(node.to_owned());
                node == last
            })
        };
        assert!(until("c", &patience));
        patience.begin();
        sleep(Duration::from_millis(1));
        assert!(!until("c", &patience) && !insist(&[], &patience, |_| true));
        assert_eq!(asked, ["a", "b", "c", "a"]);
    }
}
