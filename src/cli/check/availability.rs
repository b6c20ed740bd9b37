//! How long nobody was served, and how long each node served nobody, in plain words.

use std::fmt::Write as _;
use std::time::Duration;

use annulus_probe::served::{Gap, Served};

/// A time without any answer that is worth a line, microseconds.
const OUTAGE: u64 = 1_000_000;
/// The same for one node: clients that wait for a frozen one ask the others less often.
const NODE_OUTAGE: u64 = 3_000_000;
/// Most outages that are listed.
const MOST: usize = 10;

/// What was unavailable from `begin` to `end` (microseconds from the start), and how long.
pub fn describe(served: &Served, addresses: &[String], begin: u64, end: u64) -> String {
    let longest = served.longest_gap(begin, end);
    let mut text = format!("Availability: the longest time in which nobody was served was {}.\n", seconds(longest));
    let outages: Vec<Gap> = served.gaps(begin, end).filter(|gap| gap.length() >= OUTAGE).collect();
    if outages.len() > 1 {
        let all: Vec<String> = outages.iter().take(MOST).map(|gap| seconds(*gap)).collect();
        let more = if outages.len() > MOST { ", ..." } else { "" };
        let _ = writeln!(text, "  {} such times of a second or longer: {}{more}", outages.len(), all.join(", "));
    }
    for (node, address) in addresses.iter().enumerate() {
        let served = served.by(node);
        let gaps: Vec<Gap> = served.gaps(begin, end).filter(|gap| gap.length() >= NODE_OUTAGE).collect();
        let all = Duration::from_micros(gaps.iter().map(Gap::length).sum());
        let _ = match gaps.as_slice() {
            [] => writeln!(text, "  {address} served all the time"),
            [gap] => writeln!(text, "  {address} served nobody for {}", seconds(*gap)),
            several => writeln!(
                text,
                "  {address} served nobody for {:.1} s in all, {} times; longest: {}",
                all.as_secs_f64(),
                several.len(),
                seconds(served.longest_gap(begin, end))
            ),
        };
    }
    text
}

fn seconds(gap: Gap) -> String {
    let [length, from] = [gap.length(), gap.from].map(|micros| micros as f64 / 1e6);
    format!("{length:.2} s (from {from:.1} s on)")
}

#[cfg(test)]
mod tests {
    use annulus_check::history::Outcome;
    use annulus_probe::journal::Sample;

    use super::*;

    #[test]
    fn outages_of_all_and_of_each_are_told() {
        let sample = |(ended, node)| Sample { begun: 0, ended, node, outcome: Outcome::Ok };
        // One answers ten times in a second, except from 4 s to 6 s; the other is away from 2 s to 8 s.
        let one = (0..100_u64).filter(|at| !(40..60).contains(at)).map(|at| (at * 100_000, 0));
        let other = (0..100_u64).filter(|at| !(20..80).contains(at)).map(|at| (at * 100_000, 1));
        let samples: Vec<Sample> = one.chain(other).map(sample).collect();
        let addresses = ["a:1".to_owned(), "b:1".to_owned(), "c:1".to_owned()];
        let text = describe(&Served::of(&samples), &addresses, 0, 10_000_000);
        assert!(text.contains("nobody was served was 2.10 s (from 3.9 s on)"), "{text}");
        assert!(text.contains("a:1 served all the time"), "{text}");
        assert!(text.contains("b:1 served nobody for 6.10 s (from 1.9 s on)"), "{text}");
        assert!(text.contains("c:1 served nobody for 10.00 s (from 0.0 s on)"), "{text}");
    }
}
