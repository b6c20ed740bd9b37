//! Transcripts: one readable file per protocol situation. Commands go in, everything that happens comes out.
//!
//! A file is a sequence of blocks, separated by empty lines. A block is comments (`#`), commands, a line
//! `----` and what the commands led to. Running a file again must give the same text; with `BLESS=1` in the
//! environment the test writes the new text instead. Change a file only once you know why it changed.
//!
//! Commands (`x y` are keys, of partition 0; `1.x` is one of partition 1, `d.x` one of a namespace made at run time):
//!
//! ```text
//! cluster 3 [partitions=1] [replicas=3] [lock_timeout=..] [fast_path=..] [resend=..] [lease=..]
//!           [history=..] [retention=..] [repair=..] [marks=..] [drift=..]
//! a: n1 read x y              client a asks n1 for the latest versions
//! a: n1 scan [partition]      ... for all keys of a partition
//! a: n1 scan at 5ms           ... for all keys of partition 0 at n1's clock plus 5 ms (or minus)
//! a: n1 at 5ms x y            ... for the versions at n1's clock plus 5 ms (or minus)
//! a: n1 unsettled 5ms [holding]  ... for the keys of partition 0 that are not settled then; with nowhere: of no partition
//! a: n1 set x=1 y=            ... to write x and delete y, without reading
//! a: n1 set x=1 seen x y      ... having read x and y (or `scanned`, or at a snapshot, `unchanged` since)
//! a: n1 lock x y [nowait]     ... for soft locks
//! a: n1 set x=1 locked        ... under these locks, having read what they showed
//! a: n1 outcome [of b]        ... what became of its (or b's) last transaction
//! a: cancel                   the client goes away
//! deliver [n1->n2] [Prepare]  hands over what is under way (and matches); without a filter, until all is
//!                             quiet, with every sync
//! drop [n1->n2] [Prepare]     loses it
//! cut n1 n2, mend             messages between the two are lost from now on, no longer
//! sync [n1]                   lets the log be synced
//! tick 50ms                   time passes, nothing is delivered
//! run 50ms                    time passes, everything is delivered at once
//! crash n1, restart n1        a crash loses whatever was not synced
//! checkpoint n1               the log is trimmed
//! corrupt n1 x                a bit flips
//! clock n1 5ms                the wall clock is off by that much
//! dead n1 n2                  n1 believes that n2 is dead
//! gossip                      low-water marks are told to everybody
//! show [n1]                   stored versions, locks and undecided transactions
//! judge                       whether clients were told the truth
//! ```

mod command;
mod stage;

use std::fmt::Write as _;

use annulus_base::mutation::Mutation;
use command::Command;
use stage::Stage;

/// What parts commands from what they led to.
const RULER: &str = "----";

/// Runs the commands of a transcript and returns it with what they led to. A mutation takes a rule out.
///
/// # Errors
/// Which line is not a command, or cannot be done.
pub fn run(text: &str, mutation: Option<Mutation>) -> Result<String, String> {
    let mut stage = None;
    let mut out = String::new();
    for block in text.split("\n\n").map(str::trim).filter(|block| !block.is_empty()) {
        let input: Vec<&str> = block.lines().take_while(|line| *line != RULER).collect();
        if !out.is_empty() {
            out.push('\n');
        }
        input.iter().for_each(|line| {
            let _ = writeln!(out, "{line}");
        });
        let commands: Vec<_> = input.into_iter().filter(|line| !line.starts_with('#')).collect();
        if commands.is_empty() {
            continue;
        }
        let _ = writeln!(out, "{RULER}");
        for line in commands {
            let done = perform(&mut stage, line, mutation).map_err(|error| format!("{line}: {error}"))?;
            done.iter().for_each(|line| {
                let _ = writeln!(out, "{line}");
            });
        }
    }
    Ok(out)
}

fn perform(stage: &mut Option<Stage>, line: &str, mutation: Option<Mutation>) -> Result<Vec<String>, String> {
    match (Command::parse(line)?, stage.as_mut()) {
        (Command::Cluster(cluster), _) => {
            let (new, log) = Stage::new(&cluster, mutation)?;
            *stage = Some(new);
            Ok(log)
        }
        (_, None) => Err("the first command must be 'cluster'".into()),
        (command, Some(stage)) => stage.perform(command),
    }
}
