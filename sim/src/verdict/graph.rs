//! Directed graphs, and the cycles in them.

use std::collections::VecDeque;

/// A directed graph over nodes `0..len`.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    edges: Vec<Vec<u32>>,
}

impl Graph {
    pub(super) fn new(len: usize) -> Self {
        Self { edges: vec![Vec::new(); len] }
    }

    /// Adds a node and returns it.
    pub(super) fn add(&mut self) -> usize {
        self.edges.push(Vec::new());
        self.edges.len() - 1
    }

    /// Adds an edge, unless it is a loop.
    pub(super) fn edge(&mut self, from: usize, to: usize) {
        if from != to {
            self.edges[from].push(to as u32);
        }
    }

    /// The nodes of a shortest cycle through some node that lies on a cycle.
    pub(super) fn cycle(&self) -> Option<Vec<usize>> {
        let left = self.not_sorted();
        let start = left.iter().copied().find_map(|start| self.shortest(start))?;
        Some(start)
    }

    /// The nodes that a topological sort cannot place (Kahn, 1962).
    fn not_sorted(&self) -> Vec<usize> {
        let mut incoming = vec![0_u32; self.edges.len()];
        self.edges.iter().flatten().for_each(|to| incoming[*to as usize] += 1);
        let mut ready: Vec<usize> = (0..self.edges.len()).filter(|node| incoming[*node] == 0).collect();
        let mut placed = vec![false; self.edges.len()];
        while let Some(node) = ready.pop() {
            placed[node] = true;
            for to in &self.edges[node] {
                incoming[*to as usize] -= 1;
                if incoming[*to as usize] == 0 {
                    ready.push(*to as usize);
                }
            }
        }
        (0..self.edges.len()).filter(|node| !placed[*node]).collect()
    }

    fn shortest(&self, start: usize) -> Option<Vec<usize>> {
        let mut from: Vec<Option<usize>> = vec![None; self.edges.len()];
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            for to in self.edges[node].iter().map(|to| *to as usize) {
                if to == start {
                    let back = std::iter::successors(Some(node), |node| from[*node]);
                    let mut path: Vec<_> = back.collect();
                    path.reverse();
                    return Some(path);
                }
                if from[to].is_none() {
                    from[to] = Some(node);
                    queue.push_back(to);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_cycle_only_where_there_is_one() {
        let mut graph = Graph::new(5);
        for (from, to) in [(0, 1), (1, 2), (2, 3), (0, 3), (3, 4), (2, 2)] {
            graph.edge(from, to);
        }
        assert_eq!(graph.cycle(), None);
        graph.edge(3, 1);
        assert_eq!(graph.cycle(), Some(vec![1, 2, 3]));
    }
}
