//! From what the checkers say to what a user reads.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use annulus_check::{Level, Verdict, Violation};

/// How a check ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything was checked, and held.
    Held,
    /// An anomaly was found.
    Violated,
    /// Nothing wrong was found, but not everything could be checked.
    Undecided,
}

impl Ending {
    /// The process's exit code.
    pub fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Held => 0,
            Self::Violated => 1,
            Self::Undecided => 3,
        })
    }
}

/// What one checker says, and of what.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The workload or file, for people.
    pub what: String,
    /// The checker's name.
    pub checker: &'static str,
    /// Its verdict.
    pub verdict: Verdict,
}

/// The findings in plain words.
pub fn conclude(findings: &[Finding]) -> (Ending, String) {
    let violations: Vec<(&Finding, &Violation)> =
        findings.iter().filter_map(|finding| Some((finding, finding.verdict.violation()?))).collect();
    if let Some((finding, smallest)) = violations.iter().min_by_key(|(_, violation)| size(violation)) {
        return (Ending::Violated, violated(finding, smallest, &violations));
    }
    let undecided: Vec<String> = findings.iter().filter_map(doubt).collect();
    if undecided.is_empty() {
        let text = format!("Strict serializability held: no anomaly was found.\nChecked: {}.\n", checked(findings));
        return (Ending::Held, text);
    }
    let text = format!(
        "No anomaly was found, but not everything could be checked:\n{}Checked: {}.\n",
        undecided.concat(),
        checked(findings)
    );
    (Ending::Undecided, text)
}

/// Explanations that name no operations come last.
const fn size(violation: &Violation) -> (bool, usize) {
    (violation.ops.is_empty(), violation.ops.len())
}

fn violated(finding: &Finding, smallest: &Violation, all: &[(&Finding, &Violation)]) -> String {
    let levels = all.iter().map(|(_, violation)| Level::that_allows(violation.anomaly));
    let level = levels.min().unwrap_or(Level::Nothing);
    let mut text = format!("STRICT SERIALIZABILITY DID NOT HOLD: at most {level} did.\n");
    let _ = writeln!(text, "The smallest anomaly found ({}, checker '{}'):", finding.what, finding.checker);
    text.extend(smallest.to_string().lines().map(|line| format!("  {line}\n")));
    if all.len() > 1 {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        all.iter().for_each(|(_, violation)| *counts.entry(violation.anomaly.name()).or_default() += 1);
        let counts: Vec<String> = counts.into_iter().map(|(name, count)| format!("{name}: {count}")).collect();
        let _ = writeln!(text, "All findings by kind: {}.", counts.join("; "));
    }
    text
}

fn doubt(finding: &Finding) -> Option<String> {
    match &finding.verdict {
        Verdict::Undecided(why) => {
            Some(format!("  {}, checker '{}': {}\n", finding.what, finding.checker, why.trim_end()))
        }
        _ => None,
    }
}

/// What was looked at by which checkers.
fn checked(findings: &[Finding]) -> String {
    let mut by_what: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| finding.verdict.is_valid()) {
        let checkers = by_what.entry(&finding.what).or_default();
        if !checkers.contains(&finding.checker) {
            checkers.push(finding.checker);
        }
    }
    if by_what.is_empty() {
        return "nothing".to_owned();
    }
    let texts: Vec<String> = by_what.iter().map(|(what, by)| format!("{what} ({})", by.join(", "))).collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use annulus_check::Anomaly;

    use super::*;

    fn finding(verdict: Verdict) -> Finding {
        Finding { what: "bank".to_owned(), checker: "total", verdict }
    }

    fn violation(anomaly: Anomaly, ops: Vec<usize>) -> Finding {
        finding(Verdict::Invalid(Violation { anomaly, ops, keys: vec![], why: format!("because of {anomaly}") }))
    }

    #[test]
    fn everything_that_held_is_named() {
        let (ending, text) = conclude(&[finding(Verdict::Valid), finding(Verdict::Valid)]);
        assert_eq!(ending, Ending::Held);
        assert!(text.contains("Strict serializability held") && text.contains("Checked: bank (total)."), "{text}");
    }

    #[test]
    fn the_smallest_anomaly_is_shown_and_the_worst_decides() {
        let all = [violation(Anomaly::G1a, vec![1, 2, 3]), violation(Anomaly::Strict, vec![4, 5])];
        let (ending, text) = conclude(&all);
        assert_eq!(ending, Ending::Violated);
        assert!(text.contains("at most read uncommitted did"), "{text}");
        assert!(text.contains("  because of strict") && !text.contains("because of G1a"), "{text}");
        assert!(text.contains("G1a (aborted read): 1; "), "{text}");
    }

    #[test]
    fn what_could_not_be_checked_is_not_passed() {
        let (ending, text) = conclude(&[finding(Verdict::Valid), finding(Verdict::Undecided("too long".to_owned()))]);
        assert_eq!(ending, Ending::Undecided);
        assert!(text.contains("'total': too long"), "{text}");
    }
}
