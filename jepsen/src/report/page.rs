//! The page: one file that needs nothing else; histories and whole logs lie beside it.

use std::fmt::Write as _;
use std::time::Duration;

use super::{COLUMNS, Ending, Row, milliseconds, plot};
use crate::availability::Cost;
use crate::cell::Outcome;
use crate::cluster::tail;

/// Lines of each log on the page, where something was wrong.
const TAIL: usize = 60;

/// What the whole run was.
#[derive(Clone, Debug)]
pub struct About {
    /// The command that repeats it.
    pub command: String,
    /// What was tested: the program's version.
    pub version: String,
    /// Where the nodes ran.
    pub place: &'static str,
}

const STYLE: &str = "\
body{font:14px/1.45 sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#222}\
table{border-collapse:collapse}td,th{padding:.15em .7em;text-align:right;border-bottom:1px solid #ddd}\
td:nth-child(-n+6),th:nth-child(-n+6){text-align:left}.ok{color:#276b27}.bad{color:#b00020;font-weight:bold}\
.skip{color:#777}pre{background:#f6f6f6;padding:.7em;overflow:auto;font-size:12px}svg{width:100%;height:auto}\
details{margin:.4em 0}h2{margin-top:2em;border-top:1px solid #aaa;padding-top:.6em}code{background:#f6f6f6}";

/// The whole page.
pub fn page(about: &About, rows: &[Row], cells: &[String]) -> String {
    let run = |passed: bool| {
        rows.iter().filter(|row| matches!(row.ending, Ending::Run { passed: p, .. } if p == passed)).count()
    };
    let (right, wrong) = (run(true), run(false));
    let verdict = if wrong == 0 { "nothing was wrong, nothing was stuck" } else { "SOMETHING WAS WRONG" };
    let mut out = format!(
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Annulus under faults</title><style>{STYLE}</style>\
         <h1>Annulus under faults</h1><p><b>{verdict}</b>: {right} cells passed, {wrong} did not, {} were not run.</p>\
         <p>{} &middot; {} &middot; repeat with <code>{}</code></p>{LEGEND}<table><tr>",
        rows.len() - right - wrong,
        escape(&about.version),
        about.place,
        escape(&about.command)
    );
    for (name, _) in COLUMNS {
        let _ = write!(out, "<th>{name}</th>");
    }
    out += "</tr>";
    for row in rows {
        out += &table_row(row);
    }
    out += "</table>";
    out.extend(cells.iter().map(String::as_str));
    out + "</html>\n"
}

const LEGEND: &str = "<p>Each line is a workload under a nemesis, on a fresh cluster (n/r: nodes / replicas of each key). \
    <i>doubt</i>: answers that were lost, whose outcome was asked for later; <i>unknown</i>: those that stayed unknown. \
    <i>unavailable</i>: the longest time without any success in a fault that leaves every key a majority; <i>recovery</i>: \
    the longest time from the beginning of healing until every node had served again.</p>";

fn table_row(row: &Row) -> String {
    let class = match row.ending {
        Ending::Run { passed: true, .. } => "ok",
        Ending::Run { passed: false, .. } => "bad",
        Ending::Skipped(_) | Ending::Broken(_) => "skip",
    };
    let texts = row.texts();
    let mut out = "<tr>".to_owned();
    for (at, text) in texts.iter().enumerate() {
        let text = escape(text);
        let _ = match at {
            0 if class != "skip" => write!(out, "<td><a href='#c{}'>{text}</a></td>", row.plan.seed),
            5 => write!(out, "<td class='{class}' colspan='{}'>{text}</td>", if class == "skip" { 8 } else { 1 }),
            _ => write!(out, "<td>{text}</td>"),
        };
    }
    out + "</tr>"
}

/// One cell's part.
pub fn cell(outcome: &Outcome, row: &Row, place: &str) -> String {
    let plan = &outcome.plan;
    let mut out = format!(
        "<h2 id='c{}'>{} over {} under {}</h2><p>{} Seed {}, {} nodes, {} replicas. Repeat: <code>cargo xtask chaos --workload {} --protocol {} \
         --nemesis {} --seed {} --nodes {} --cells 1</code></p>",
        plan.seed,
        plan.workload,
        plan.protocol,
        plan.nemesis,
        escape(plan.nemesis.about().trim()),
        plan.seed,
        row.shape.nodes,
        row.shape.replicas,
        plan.workload,
        plan.protocol,
        plan.nemesis,
        plan.seed,
        row.shape.nodes,
    );
    let verdicts: Vec<String> = outcome
        .verdicts
        .iter()
        .map(|(name, verdict)| {
            let (class, text) = if verdict.is_valid() { ("ok", "valid") } else { ("bad", "NOT VALID") };
            format!("{name}: <span class='{class}'>{text}</span>")
        })
        .collect();
    let _ = write!(out, "<p>{}</p>", verdicts.join(" &middot; "));
    for complaint in outcome.complaints() {
        let _ = write!(out, "<pre class='bad'>{}</pre>", escape(&complaint));
    }
    out += &plot::rate(&outcome.record.samples, &outcome.costs);
    out += &plot::latency(&outcome.record.samples, &outcome.costs);
    out += &faults(&outcome.costs);
    out += &details(outcome);
    let _ = write!(
        out,
        "<p>Files: <a href='{place}/history.edn'>history.edn</a>, <a href='{place}/history.json'>history.json</a>, \
         <a href='{place}/'>logs</a></p>"
    );
    out
}

fn faults(costs: &[Cost]) -> String {
    let mut out = "<table><tr><th>fault</th><th>at s</th><th>for s</th><th>majority</th><th>unavailable ms</th>\
                   <th>recovery ms</th><th>ok/s before</th><th>during</th><th>after</th></tr>"
        .to_owned();
    for Cost { window, unavailable, recovery, before, during, after, served: _ } in costs {
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{:.1}</td><td>{:.1}</td><td>{}</td><td>{}</td><td>{}</td><td>{before}</td>\
             <td>{during}</td><td>{after}</td></tr>",
            escape(&window.name),
            window.begun as f64 / 1e6,
            (window.ended - window.begun) as f64 / 1e6,
            if window.has_majority { "yes" } else { "no" },
            unavailable / 1_000,
            milliseconds(recovery.map(Duration::from_micros)),
        );
    }
    out + "</table>"
}

fn details(outcome: &Outcome) -> String {
    let refusals: String = outcome.record.refusals.iter().map(|(why, count)| format!("{count:7}  {why}\n")).collect();
    let mut out = folded("why operations did not succeed", &refusals);
    out += &folded("events", &outcome.record.notes.join("\n"));
    if !outcome.passed() {
        for (node, log) in outcome.logs.iter().enumerate() {
            out += &folded(&format!("the end of n{}'s log", node + 1), &tail(log, TAIL));
        }
    }
    out
}

fn folded(title: &str, text: &str) -> String {
    format!("<details><summary>{title}</summary><pre>{}</pre></details>", escape(text))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&#39;").replace('"', "&quot;")
}
