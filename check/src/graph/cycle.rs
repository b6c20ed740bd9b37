//! Cycles: the worst kind first, and of that a shortest one.

use std::collections::{BTreeMap, VecDeque};

use super::edges::kind::{PHANTOM, RW, TIME, WR, WW};
use super::edges::{Edge, Graph};
use crate::verdict::Anomaly;

/// Edges looked at while searching for a shorter cycle; then the best so far is taken.
const EFFORT: usize = 5_000_000;

/// One edge between two transactions of a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) from: u32,
    pub(super) edge: Edge,
}

/// The worst anomaly with a shortest cycle that shows it; `None` if there is no cycle.
pub(super) fn worst(graph: &Graph) -> Option<(Anomaly, Vec<Step>)> {
    let all = WW | WR | RW | PHANTOM | TIME;
    let knots = components(graph, all);
    if knots.is_empty() {
        return None;
    }
    let finder = |mask| Finder { graph, mask };
    if let Some(cycle) = finder(WW).shortest() {
        return Some((Anomaly::G0, cycle));
    }
    if let Some(cycle) = finder(WW | WR).shortest() {
        return Some((Anomaly::G1c, cycle));
    }
    if let Some(cycle) = finder(WW | WR).with_one(RW | PHANTOM) {
        return Some((if is_lost_update(&cycle) { Anomaly::LostUpdate } else { Anomaly::GSingle }, cycle));
    }
    if let Some(cycle) = finder(WW | WR | RW).shortest() {
        return Some((Anomaly::G2Item, cycle));
    }
    if let Some(cycle) = finder(WW | WR | RW | PHANTOM).shortest() {
        return Some((Anomaly::G2, cycle));
    }
    let cycle = finder(all).shortest()?;
    Some((if is_stale_read(&cycle) { Anomaly::StaleRead } else { Anomaly::Strict }, cycle))
}

/// Two transactions that read one version of a key and both wrote the key.
fn is_lost_update(cycle: &[Step]) -> bool {
    let kinds = |steps: &[Step]| steps.iter().fold(0, |mask, step| mask | step.edge.kind);
    cycle.len() == 2 && kinds(cycle) == WW | RW && cycle[0].edge.key == cycle[1].edge.key
}

/// One transaction ended before another was asked that did not see it.
fn is_stale_read(cycle: &[Step]) -> bool {
    let is = |mask: u8| cycle.iter().any(|step| step.edge.kind & mask != 0);
    cycle.len() == 2 && is(RW | PHANTOM) && is(TIME)
}

/// Looks for cycles of edges of some kinds.
struct Finder<'a> {
    graph: &'a Graph,
    mask: u8,
}

impl Finder<'_> {
    /// A shortest cycle.
    fn shortest(&self) -> Option<Vec<Step>> {
        let knots = components(self.graph, self.mask);
        let starts = knots.iter().flatten().filter(|node| (**node as usize) < self.graph.txns);
        self.best(starts.map(|start| (*start, *start, None)))
    }

    /// A shortest cycle with exactly one edge of other kinds.
    fn with_one(&self, other: u8) -> Option<Vec<Step>> {
        let knots = components(self.graph, self.mask | other);
        let odd = knots.iter().flatten().flat_map(|from| {
            let edges = self.graph.next[*from as usize].iter().filter(|edge| edge.kind & other != 0);
            edges.map(|edge| (edge.to, *from, Some(Step { from: *from, edge: *edge })))
        });
        self.best(odd)
    }

    /// The shortest of the paths from one node to another, each with a step put before it.
    fn best(&self, paths: impl Iterator<Item = (u32, u32, Option<Step>)>) -> Option<Vec<Step>> {
        let mut best: Option<Vec<Step>> = None;
        let mut effort = EFFORT;
        for (from, to, first) in paths {
            let shorter =
                self.path(from, to, &mut effort).map(|path| first.into_iter().chain(path).collect::<Vec<_>>());
            best = match (best, shorter) {
                (Some(best), Some(new)) if new.len() >= best.len() => Some(best),
                (best, new) => new.or(best),
            };
            // No cycle is shorter than two.
            if best.as_ref().is_some_and(|best| best.len() == 2 || effort == 0) {
                break;
            }
        }
        best
    }

    /// A shortest path of at least one edge, counting only edges into transactions: breadth first, where
    /// edges into barriers cost nothing.
    fn path(&self, from: u32, to: u32, effort: &mut usize) -> Option<Vec<Step>> {
        let mut came: BTreeMap<u32, Step> = BTreeMap::new();
        let mut queue = VecDeque::from([from]);
        while let Some(node) = queue.pop_front() {
            for edge in self.graph.next[node as usize].iter().filter(|edge| edge.kind & self.mask != 0) {
                *effort = effort.saturating_sub(1);
                if came.contains_key(&edge.to) {
                    continue;
                }
                came.insert(edge.to, Step { from: node, edge: *edge });
                if edge.to == to {
                    return Some(self.walk_back(&came, from, to));
                }
                if (edge.to as usize) < self.graph.txns { queue.push_back(edge.to) } else { queue.push_front(edge.to) }
            }
        }
        None
    }

    /// The path that was found, with barriers left out.
    fn walk_back(&self, came: &BTreeMap<u32, Step>, from: u32, to: u32) -> Vec<Step> {
        let mut path = Vec::new();
        let mut edge = came[&to].edge;
        let mut node = to;
        loop {
            let step = came[&node];
            node = step.from;
            if (node as usize) < self.graph.txns {
                path.push(Step { from: node, edge });
                if node == from {
                    break;
                }
                edge = came[&node].edge;
            }
        }
        path.reverse();
        path
    }
}

/// The strongly connected components of more than one node (Tarjan 1972, without recursion).
fn components(graph: &Graph, mask: u8) -> Vec<Vec<u32>> {
    const NEW: u32 = u32::MAX;
    let count = graph.next.len();
    let (mut index, mut low) = (vec![NEW; count], vec![NEW; count]);
    let mut on_stack = vec![false; count];
    let (mut stack, mut found) = (Vec::new(), Vec::new());
    let mut counter = 0;
    for root in 0..count as u32 {
        if index[root as usize] != NEW {
            continue;
        }
        // Nodes being visited, each with the position of its next edge.
        let mut calls = vec![(root, 0)];
        while let Some((node, at)) = calls.pop() {
            let me = node as usize;
            if at == 0 {
                index[me] = counter;
                low[me] = counter;
                counter += 1;
                stack.push(node);
                on_stack[me] = true;
            }
            let edges = &graph.next[me];
            let Some(skip) = edges[at..].iter().position(|edge| edge.kind & mask != 0) else {
                if low[me] == index[me] {
                    close(node, &mut stack, &mut on_stack, &mut found);
                }
                if let Some((parent, _)) = calls.last() {
                    low[*parent as usize] = low[*parent as usize].min(low[me]);
                }
                continue;
            };
            let to = edges[at + skip].to as usize;
            calls.push((node, at + skip + 1));
            if index[to] == NEW {
                calls.push((to as u32, 0));
            } else if on_stack[to] {
                low[me] = low[me].min(index[to]);
            }
        }
    }
    found
}

fn close(root: u32, stack: &mut Vec<u32>, on_stack: &mut [bool], found: &mut Vec<Vec<u32>>) {
    let mut component = Vec::new();
    while let Some(node) = stack.pop() {
        on_stack[node as usize] = false;
        component.push(node);
        if node == root {
            break;
        }
    }
    if component.len() > 1 {
        found.push(component);
    }
}
