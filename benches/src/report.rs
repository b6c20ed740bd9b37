//! The results as tables in Markdown that can be read as they are.

use std::fmt::Write as _;

use crate::floor::Floor;
use crate::peer::Kind;
use crate::round::{Round, Summary, median};
use crate::suite::Workload;

/// Everything that was measured.
#[derive(Default)]
pub struct Results {
    /// All rounds, in the order in which they were measured.
    pub rounds: Vec<Round>,
    /// The floor, measured next to each round of puts by one client.
    pub floors: Vec<Floor>,
}

impl Results {
    /// The median of a cell's rounds, if it was measured.
    pub fn cell(&self, peer: Kind, workload: Workload, clients: u16) -> Option<Summary> {
        let same = |round: &&Round| (round.peer, round.workload, round.clients) == (peer, workload, clients);
        Summary::of(&self.rounds.iter().filter(same).collect::<Vec<_>>())
    }

    /// The median floor, if it was measured.
    pub fn floor(&self) -> Option<Floor> {
        let of = |part: fn(&Floor) -> f64| median(self.floors.iter().map(part).collect());
        (!self.floors.is_empty()).then(|| Floor { round_trip: of(|f| f.round_trip), sync: of(|f| f.sync) })
    }

    /// Whether some cell has only disturbed rounds.
    pub fn disturbed(&self) -> bool {
        let cells = distinct(self.rounds.iter().map(|round| (round.peer, round.workload, round.clients)));
        cells
            .into_iter()
            .filter_map(|(peer, workload, clients)| self.cell(peer, workload, clients))
            .any(|c| c.disturbed)
    }

    /// All tables.
    pub fn markdown(&self) -> String {
        let mut out = String::from(
            "Each cell: operations per second / p50 ms / p99 ms / **processor ms per operation** of all servers.\n\n",
        );
        out += &self.table(&self.workloads(), |cell| {
            let f = &cell.figures;
            let mark = if cell.disturbed { " *" } else { "" };
            let (p50, p99, cpu) = (short(f.p50_ms), short(f.p99_ms), short(f.server_cpu_ms_per_op));
            format!("{:.0} / {p50} / {p99} / **{cpu}**{mark}", f.ops_per_s)
        });
        out += "\nSwitches of the servers' threads per operation:\n\n";
        out += &self.table(&self.workloads(), |cell| short(cell.figures.switches_per_op));
        let transfers: Vec<Workload> = self.workloads().into_iter().filter(|workload| workload.transfers()).collect();
        if !transfers.is_empty() {
            out += "\nTries that lost a conflict, per committed transaction:\n\n";
            out += &self.table(&transfers, |cell| short(cell.figures.aborts_per_op));
        }
        out += &self.notes();
        out
    }

    fn workloads(&self) -> Vec<Workload> {
        distinct(self.rounds.iter().map(|round| round.workload))
    }

    fn table(&self, workloads: &[Workload], show: impl Fn(&Summary) -> String) -> String {
        let clients = distinct(self.rounds.iter().map(|round| round.clients));
        let peers = distinct(self.rounds.iter().map(|round| round.peer));
        let plural = |count: &u16| if *count == 1 { "1 client".to_owned() } else { format!("{count} clients") };
        let heads = ["workload", "peer"].map(str::to_owned).into_iter().chain(clients.iter().map(plural));
        let mut lines = vec![heads.collect::<Vec<_>>()];
        for workload in workloads {
            for peer in &peers {
                let cell = |count: &u16| self.cell(*peer, *workload, *count).as_ref().map_or_else(String::new, &show);
                let names = [workload.name(), peer.name()].map(str::to_owned).into_iter();
                lines.push(names.chain(clients.iter().map(cell)).collect());
            }
        }
        aligned(&lines)
    }

    fn notes(&self) -> String {
        let mut out = String::new();
        if let Some(floor) = self.floor() {
            let _ = writeln!(
                out,
                "\nFloor of a put: 2 round trips of {:.3} ms + 3 concurrent fdatasync of {:.3} ms = {:.3} ms.",
                floor.round_trip,
                floor.sync,
                floor.total(),
            );
        }
        let disturbed = self.rounds.iter().filter(|round| round.disturbed).count();
        let _ = writeln!(
            out,
            "\n{disturbed} of {} rounds were disturbed (other processes used over a quarter of a core) and are left out \
             where there are others; `*`: there are none.",
            self.rounds.len(),
        );
        for round in self.rounds.iter().filter(|round| round.figures.errors > 0.0) {
            let Round { peer, workload, clients, figures, last_error, .. } = round;
            let last = last_error.as_deref().unwrap_or("unknown");
            let _ = writeln!(
                out,
                "\n{} errors: {} {} with {clients} clients, the last: {last}",
                figures.errors,
                peer.name(),
                workload.name()
            );
        }
        out
    }
}

/// One line about one round, while it goes on.
pub fn progress(round: &Round) -> String {
    let f = &round.figures;
    format!(
        "{:8} {:8} {:3} clients {:8.0} ops/s  p50 {:7} p99 {:7} max {:7} ms  cpu {:6} ms/op  {:5} switches/op  \
         {:5} aborts/op  {} errors  client {:.2} other {:.2} cores{}",
        round.workload.name(),
        round.peer.name(),
        round.clients,
        f.ops_per_s,
        short(f.p50_ms),
        short(f.p99_ms),
        short(f.max_ms),
        short(f.server_cpu_ms_per_op),
        short(f.switches_per_op),
        short(f.aborts_per_op),
        f.errors,
        f.client_cores,
        f.other_cores,
        if round.disturbed { " DISTURBED" } else { "" },
    )
}

/// Two or three digits that matter.
pub fn short(value: f64) -> String {
    let digits = match value {
        v if v >= 99.5 => 0,
        v if v >= 9.95 => 1,
        v if v >= 0.0995 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

fn distinct<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    values.collect::<std::collections::BTreeSet<T>>().into_iter().collect()
}

/// Lines of cells as a Markdown table; the first line is the head.
fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for (place, line) in lines.iter().enumerate() {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
        if place == 0 {
            let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            let _ = writeln!(out, "| {} |", rules.join(" | "));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned() {
        let lines = [["a", "bc"], ["def", ""]].map(|line| line.map(str::to_owned).to_vec());
        assert_eq!(aligned(&lines), "| a   | bc |\n| --- | -- |\n| def |    |\n");
    }

    #[test]
    fn numbers_keep_the_digits_that_matter() {
        let shown: Vec<String> = [123.4, 12.34, 1.234, 0.1234, 0.01234, 0.0].map(short).into();
        assert_eq!(shown, ["123", "12.3", "1.23", "0.12", "0.012", "0.000"]);
    }
}
