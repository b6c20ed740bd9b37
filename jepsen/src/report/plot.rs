//! Plots as SVG: latency of every operation, and rate, over time, with the faults shaded.

use std::fmt::Write as _;

use annulus_check::history::Outcome;
use annulus_probe::journal::Sample;

use crate::availability::Cost;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 220.0;
/// Room for labels: left, top, right, bottom.
const ROOM: [f64; 4] = [52.0, 18.0, 8.0, 22.0];
/// Latencies shown, in milliseconds; others are at the edge.
const LATENCY: [f64; 2] = [0.1, 10_000.0];
/// Most points of successes: more of them look the same.
const POINTS: usize = 3_000;
/// The rate is counted in pieces of so many microseconds.
const PIECE: u64 = 250_000;

/// The ways of ending, with their colours.
const OUTCOMES: [(Outcome, &str, &str); 3] = [
    (Outcome::Ok, "executed", "#3b73b9"),
    (Outcome::Fail, "failed", "#d2691e"),
    (Outcome::Unknown, "unknown", "#c2185b"),
];

/// A frame with time from left to right and something else from bottom (0) to top (1).
struct Plot {
    svg: String,
    seconds: f64,
}

/// Latency over time, logarithmic.
#[must_use]
pub fn latency(samples: &[Sample], costs: &[Cost]) -> String {
    let mut plot = Plot::new("latency in ms", samples, costs);
    let [least, most] = LATENCY.map(f64::ln);
    let height = |millis: f64| ((millis.max(LATENCY[0]).ln() - least) / (most - least)).clamp(0.0, 1.0);
    for millis in [0.1, 1.0, 10.0, 100.0, 1_000.0, 10_000.0] {
        plot.line(height(millis), &millis.to_string());
    }
    for (outcome, _, colour) in OUTCOMES {
        let all: Vec<&Sample> = samples.iter().filter(|sample| sample.outcome == outcome).collect();
        let every = if outcome == Outcome::Ok { all.len().div_ceil(POINTS).max(1) } else { 1 };
        let mut path = String::new();
        for sample in all.iter().step_by(every) {
            let millis = (sample.ended - sample.begun) as f64 / 1e3;
            let _ = write!(path, "M{:.1} {:.1}h0", plot.x(sample.ended), Plot::y(height(millis)));
        }
        let _ = write!(plot.svg, "<path d='{path}' stroke='{colour}' stroke-width='2.4' stroke-linecap='round'/>");
    }
    plot.finish()
}

/// Operations in a second over time.
#[must_use]
pub fn rate(samples: &[Sample], costs: &[Cost]) -> String {
    let mut plot = Plot::new("operations in a second", samples, costs);
    let pieces = samples.iter().map(|sample| sample.ended / PIECE).max().unwrap_or(0) as usize + 1;
    let counted = OUTCOMES.map(|(outcome, _, colour)| {
        let mut counts = vec![0_u64; pieces];
        for sample in samples.iter().filter(|sample| sample.outcome == outcome) {
            counts[(sample.ended / PIECE) as usize] += 1_000_000 / PIECE;
        }
        (counts, colour)
    });
    let most = counted.iter().flat_map(|(counts, _)| counts).copied().max().unwrap_or(0).max(1);
    for part in 0..=2 {
        plot.line(f64::from(part) / 2.0, &(most * u64::from(part as u32) / 2).to_string());
    }
    for (counts, colour) in counted {
        let point = |(piece, count): (usize, u64)| {
            format!("{:.1},{:.1} ", plot.x((piece as u64 * 2 + 1) * PIECE / 2), Plot::y(count as f64 / most as f64))
        };
        let points: String = counts.into_iter().enumerate().map(point).collect();
        let _ = write!(plot.svg, "<polyline points='{points}' fill='none' stroke='{colour}' stroke-width='1.5'/>");
    }
    plot.finish()
}

impl Plot {
    fn new(title: &str, samples: &[Sample], costs: &[Cost]) -> Self {
        let end = samples.iter().map(|sample| sample.ended).max().unwrap_or(0);
        let end = costs.iter().map(|cost| cost.window.healed).fold(end, u64::max).max(1_000_000);
        let mut plot = Self { svg: String::new(), seconds: end as f64 / 1e6 };
        let _ = write!(
            plot.svg,
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' font-family='sans-serif' font-size='11'>"
        );
        for cost in costs {
            plot.shade(cost.window.begun, cost.window.ended, "#f3c9c9");
            plot.shade(cost.window.ended, cost.window.healed, "#f6efc6");
        }
        let _ = write!(plot.svg, "<text x='{}' y='12' font-weight='bold'>{title}</text>", ROOM[0]);
        for (at, (_, name, colour)) in OUTCOMES.into_iter().enumerate() {
            let x = WIDTH - 230.0 + 75.0 * at as f64;
            let _ = write!(plot.svg, "<text x='{x}' y='12' fill='{colour}'>{name}</text>");
        }
        let step = (plot.seconds / 10.0).ceil().max(1.0);
        let mut second = 0.0;
        while second <= plot.seconds {
            let x = plot.x((second * 1e6) as u64);
            let _ = write!(plot.svg, "<text x='{x:.1}' y='{}' text-anchor='middle'>{second} s</text>", HEIGHT - 6.0);
            second += step;
        }
        plot
    }

    fn shade(&mut self, from: u64, to: u64, colour: &str) {
        let (left, right) = (self.x(from), self.x(to));
        let (top, height) = (Self::y(1.0), Self::y(0.0) - Self::y(1.0));
        let width = right - left;
        let _ =
            write!(self.svg, "<rect x='{left:.1}' y='{top}' width='{width:.1}' height='{height}' fill='{colour}'/>");
    }

    /// A line across, with its label.
    fn line(&mut self, height: f64, label: &str) {
        let y = Self::y(height);
        let (left, right) = (ROOM[0], WIDTH - ROOM[2]);
        let _ = write!(self.svg, "<path d='M{left} {y:.1}H{right}' stroke='#ccc'/>");
        let _ = write!(self.svg, "<text x='{}' y='{:.1}' text-anchor='end'>{label}</text>", left - 4.0, y + 4.0);
    }

    fn x(&self, micros: u64) -> f64 {
        ROOM[0] + (WIDTH - ROOM[0] - ROOM[2]) * micros as f64 / 1e6 / self.seconds
    }

    fn y(height: f64) -> f64 {
        ROOM[1] + (HEIGHT - ROOM[1] - ROOM[3]) * (1.0 - height)
    }

    fn finish(self) -> String {
        self.svg + "</svg>"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nemesis::tormentor::Window;

    fn sample(ended: u64, outcome: Outcome) -> Sample {
        Sample { begun: ended - 500, ended, node: 0, outcome }
    }

    #[test]
    fn plots_show_every_kind_of_end_and_every_fault() {
        let samples =
            [sample(1_000, Outcome::Ok), sample(2_000_000, Outcome::Fail), sample(9_000_000, Outcome::Unknown)];
        let window =
            Window { name: "x".into(), begun: 1_000_000, ended: 3_000_000, healed: 4_000_000, has_majority: true };
        let costs = crate::availability::costs(&samples, &[window], 1);
        for svg in [latency(&samples, &costs), rate(&samples, &costs)] {
            assert!(svg.starts_with("<svg") && svg.ends_with("</svg>"));
            assert_eq!(svg.matches("<rect").count(), 2);
            assert!(OUTCOMES.iter().all(|(_, name, colour)| svg.contains(name) && svg.contains(colour)));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        assert!(latency(&[], &[]).ends_with("</svg>") && rate(&[], &[]).ends_with("</svg>"));
    }
}
