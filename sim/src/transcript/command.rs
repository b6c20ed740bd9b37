//! The commands of a transcript, as text.

use annulus_base::time::{MILLISECOND, Micros, SECOND};

/// How a cluster is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cluster {
    pub(super) nodes: u32,
    pub(super) partitions: u16,
    pub(super) replicas: u8,
    pub(super) lock_timeout: Micros,
    pub(super) fast_path: Micros,
    pub(super) resend: Micros,
    pub(super) lease: Micros,
    pub(super) history: Micros,
    pub(super) retention: Micros,
    pub(super) repair: Micros,
    pub(super) marks: Micros,
    pub(super) drift: Micros,
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Read(Vec<String>),
    Scan(u16),
    ScanAt(i64),
    At(i64, Vec<String>),
    Unsettled { time: i64, hold: bool, all: bool },
    Set { writes: Vec<(String, Option<String>)>, seen: Vec<String>, ranges: Ranges, locked: bool },
    Lock { keys: Vec<String>, nowait: bool },
    Outcome(String),
}

/// What a commit says of the ranges that were read before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ranges {
    Unread,
    /// What was found in them.
    Scanned,
    /// That nothing has changed in them since.
    Unchanged,
}

/// Which messages are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) link: Option<(usize, usize)>,
    pub(super) kind: Option<String>,
    /// There may be none.
    pub(super) any: bool,
}

/// One command. Nodes are numbered from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Cluster(Cluster),
    Ask { client: String, node: usize, ask: Ask },
    Cancel(String),
    Deliver(Filter),
    Drop(Filter),
    Cut(usize, usize),
    Mend,
    Sync(Option<usize>),
    Tick(Micros),
    Run(Micros),
    Crash(usize),
    Restart(usize),
    Checkpoint(usize),
    Corrupt(usize, String),
    Clock(usize, i64),
    Dead(usize, usize),
    Gossip,
    Show(Option<usize>),
    Judge,
}

impl Command {
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        if let Some((client, rest)) = line.split_once(": ") {
            return ask(client, &words(rest));
        }
        let words = words(line);
        match words.as_slice() {
            ["cluster", nodes, options @ ..] => cluster(nodes, options).map(Self::Cluster),
            ["deliver", filter @ ..] => parse_filter(filter).map(Self::Deliver),
            ["drop", filter @ ..] => parse_filter(filter).map(Self::Drop),
            ["cut", one, other] => Ok(Self::Cut(node(one)?, node(other)?)),
            ["mend"] => Ok(Self::Mend),
            ["sync"] => Ok(Self::Sync(None)),
            ["sync", which] => Ok(Self::Sync(Some(node(which)?))),
            ["tick", time] => Ok(Self::Tick(duration(time)?)),
            ["run", time] => Ok(Self::Run(duration(time)?)),
            ["crash", which] => Ok(Self::Crash(node(which)?)),
            ["restart", which] => Ok(Self::Restart(node(which)?)),
            ["checkpoint", which] => Ok(Self::Checkpoint(node(which)?)),
            ["corrupt", which, key] => Ok(Self::Corrupt(node(which)?, (*key).to_owned())),
            ["clock", which, by] => Ok(Self::Clock(node(which)?, signed(by)?)),
            ["dead", who, whom] => Ok(Self::Dead(node(who)?, node(whom)?)),
            ["gossip"] => Ok(Self::Gossip),
            ["show"] => Ok(Self::Show(None)),
            ["show", which] => Ok(Self::Show(Some(node(which)?))),
            ["judge"] => Ok(Self::Judge),
            _ => Err("not a command".into()),
        }
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn ask(client: &str, words: &[&str]) -> Result<Command, String> {
    let client = client.to_owned();
    let (name, rest) = words.split_first().ok_or("what does the client do?")?;
    if *name == "cancel" {
        return Ok(Command::Cancel(client));
    }
    let ask = match rest {
        ["read", keys @ ..] => Ask::Read(owned(keys)),
        ["scan"] => Ask::Scan(0),
        ["scan", "at", time] => Ask::ScanAt(signed(time)?),
        ["scan", partition] => Ask::Scan(number(partition)?),
        ["at", time, keys @ ..] => Ask::At(signed(time)?, owned(keys)),
        ["unsettled", time] => Ask::Unsettled { time: signed(time)?, hold: false, all: true },
        ["unsettled", time, "holding"] => Ask::Unsettled { time: signed(time)?, hold: true, all: true },
        ["unsettled", time, "nowhere"] => Ask::Unsettled { time: signed(time)?, hold: false, all: false },
        ["set", rest @ ..] => set(rest)?,
        ["lock", keys @ .., "nowait"] => Ask::Lock { keys: owned(keys), nowait: true },
        ["lock", keys @ ..] => Ask::Lock { keys: owned(keys), nowait: false },
        ["outcome"] => Ask::Outcome(client.clone()),
        ["outcome", "of", other] => Ask::Outcome((*other).to_owned()),
        _ => return Err("not a request".into()),
    };
    Ok(Command::Ask { client, node: node(name)?, ask })
}

fn set(words: &[&str]) -> Result<Ask, String> {
    let (mut writes, mut seen) = (Vec::new(), Vec::new());
    let (mut ranges, mut locked, mut after_seen) = (Ranges::Unread, false, false);
    for word in words {
        match (*word, word.split_once('=')) {
            ("seen", _) => after_seen = true,
            ("scanned", _) => ranges = Ranges::Scanned,
            ("unchanged", _) => ranges = Ranges::Unchanged,
            ("locked", _) => locked = true,
            (key, None) if after_seen => seen.push(key.to_owned()),
            (_, Some((key, ""))) => writes.push((key.to_owned(), None)),
            (_, Some((key, value))) => writes.push((key.to_owned(), Some(value.to_owned()))),
            (word, None) => return Err(format!("'{word}' is not key=value")),
        }
    }
    Ok(Ask::Set { writes, seen, ranges, locked })
}

fn parse_filter(words: &[&str]) -> Result<Filter, String> {
    let mut filter = Filter::default();
    for word in words {
        match word.split_once("->") {
            None if *word == "any" => filter.any = true,
            Some((from, to)) => filter.link = Some((node(from)?, node(to)?)),
            None => filter.kind = Some((*word).to_owned()),
        }
    }
    Ok(filter)
}

fn cluster(nodes: &str, options: &[&str]) -> Result<Cluster, String> {
    let mut cluster = Cluster {
        nodes: number(nodes)?,
        partitions: 1,
        replicas: 3,
        lock_timeout: SECOND,
        fast_path: 50 * MILLISECOND,
        resend: 200 * MILLISECOND,
        lease: 5 * SECOND,
        history: 600 * SECOND,
        retention: 60 * SECOND,
        repair: 600 * SECOND,
        marks: 600 * SECOND,
        drift: 500 * MILLISECOND,
    };
    for option in options {
        match option.split_once('=').ok_or_else(|| format!("'{option}' is not option=value"))? {
            ("partitions", value) => cluster.partitions = number(value)?,
            ("replicas", value) => cluster.replicas = number(value)?,
            ("lock_timeout", value) => cluster.lock_timeout = duration(value)?,
            ("fast_path", value) => cluster.fast_path = duration(value)?,
            ("resend", value) => cluster.resend = duration(value)?,
            ("lease", value) => cluster.lease = duration(value)?,
            ("history", value) => cluster.history = duration(value)?,
            ("retention", value) => cluster.retention = duration(value)?,
            ("repair", value) => cluster.repair = duration(value)?,
            ("marks", value) => cluster.marks = duration(value)?,
            ("drift", value) => cluster.drift = duration(value)?,
            (other, _) => return Err(format!("unknown option '{other}'")),
        }
    }
    Ok(cluster)
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("'{text}' is not a number"))
}

fn node(text: &str) -> Result<usize, String> {
    let id: usize = number(text.strip_prefix('n').ok_or_else(|| format!("'{text}' is not a node"))?)?;
    id.checked_sub(1).ok_or_else(|| "nodes are numbered from 1".into())
}

fn duration(text: &str) -> Result<Micros, String> {
    let units = [("ms", MILLISECOND), ("us", 1), ("s", SECOND)];
    let (digits, unit) = units
        .iter()
        .find_map(|(suffix, unit)| text.strip_suffix(suffix).map(|digits| (digits, unit)))
        .ok_or_else(|| format!("'{text}' is not a duration such as 50ms"))?;
    Ok(number::<Micros>(digits)? * unit)
}

fn signed(text: &str) -> Result<i64, String> {
    match text.strip_prefix('-') {
        Some(rest) => duration(rest).map(|micros| -(micros as i64)),
        None => duration(text).map(|micros| micros as i64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_understood() {
        let set = Command::parse("a: n2 set x=1 1.y= seen x").unwrap();
        let writes = vec![("x".to_owned(), Some("1".to_owned())), ("1.y".to_owned(), None)];
        let ask = Ask::Set { writes, seen: vec!["x".into()], ranges: Ranges::Unread, locked: false };
        assert_eq!(set, Command::Ask { client: "a".into(), node: 1, ask });
        let filter = Filter { link: Some((0, 2)), kind: Some("Vote".into()), any: false };
        assert_eq!(Command::parse("drop n1->n3 Vote"), Ok(Command::Drop(filter.clone())));
        assert_eq!(Command::parse("deliver any n1->n3 Vote"), Ok(Command::Deliver(Filter { any: true, ..filter })));
        assert_eq!(Command::parse("clock n1 -5ms"), Ok(Command::Clock(0, -5_000)));
    }

    #[test]
    fn nonsense_is_refused() {
        for line in ["", "jump", "a: n1 fly", "crash 1", "crash n0", "tick 5", "cluster 3 x=1", "a: n1 set x"] {
            assert!(Command::parse(line).is_err(), "{line}");
        }
    }
}
