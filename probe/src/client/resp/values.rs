//! Keys, values and commands as the Redis protocol has them.

use annulus_check::history::{Datum, Key, Step};
use annulus_check::state::State;
use redis::{Cmd, Value};

use crate::client::Done;
use crate::client::done::{Attempt, NONSENSE};

/// A key's name.
pub fn name(prefix: &str, key: Key) -> String {
    format!("{prefix}{key}")
}

/// A command of these words.
pub fn words(words: &[&str]) -> Cmd {
    let mut command = Cmd::new();
    for word in words {
        command.arg(*word);
    }
    command
}

/// A step as a command whose place in a transaction does not matter to others; `None` for expectations.
pub fn queueable(step: &Step, prefix: &str) -> Option<Cmd> {
    let key = name(prefix, step.key());
    Some(match step {
        Step::Read { .. } => words(&["GET", &key]),
        Step::Write { value, .. } => words(&["SET", &key, &value.to_string()]),
        Step::Append { value, .. } => words(&["APPEND", &key, &format!("{value},")]),
        Step::Add { amount, .. } => words(&["INCRBY", &key, &amount.to_string()]),
        Step::Expect { .. } => return None,
    })
}

/// A whole program as one command, where there is one: its answer holds what all its reads found.
pub fn command(program: &[Step], prefix: &str) -> Option<Cmd> {
    match program {
        [step] => queueable(step, prefix),
        [Step::Add { key: added, .. }, Step::Read { key, .. }] if added == key => queueable(&program[0], prefix),
        [Step::Expect { key: expected, value: None }, Step::Write { key, value }] if expected == key => {
            Some(words(&["SET", &name(prefix, *key), &value.to_string(), "NX"]))
        }
        [Step::Read { key: read, .. }, Step::Write { key, value }] if read == key => {
            Some(words(&["GETSET", &name(prefix, *key), &value.to_string()]))
        }
        [] => None,
        reads => {
            let keys: Option<Vec<String>> =
                reads.iter().map(|step| matches!(step, Step::Read { .. }).then(|| name(prefix, step.key()))).collect();
            let keys = keys?;
            Some(words(&std::iter::once("MGET").chain(keys.iter().map(String::as_str)).collect::<Vec<_>>()))
        }
    }
}

/// The program, with what its reads found, in order.
pub fn filled(program: &[Step], found: Vec<Datum>) -> Vec<Step> {
    let mut found = found.into_iter();
    let fill = |step: &Step| match step {
        Step::Read { key, .. } => Step::Read { key: *key, found: found.next() },
        other => other.clone(),
    };
    program.iter().map(fill).collect()
}

/// What keys hold, from what `MGET` answered.
pub fn contents(keys: impl Iterator<Item = Key>, values: Value) -> Attempt<State> {
    let Value::Array(values) = values else { return Err(Done::Fail(format!("{NONSENSE}MGET answered {values:?}"))) };
    let pairs: Attempt<Vec<(Key, Datum)>> = keys.zip(values).map(|(key, value)| Ok((key, datum(value)?))).collect();
    Ok(State::from_iter(pairs?))
}

/// What a key holds, from what `GET` or `INCRBY` answered.
pub fn datum(value: Value) -> Attempt<Datum> {
    let nonsense = |what: String| Done::Fail(format!("{NONSENSE}{what} is neither a number nor a list of numbers"));
    match value {
        Value::Nil => Ok(Datum::Nothing),
        Value::Int(number) => Ok(Datum::Number(number)),
        Value::BulkString(bytes) => parse(&bytes).ok_or_else(|| nonsense(String::from_utf8_lossy(&bytes).into_owned())),
        other => Err(nonsense(format!("{other:?}"))),
    }
}

fn parse(bytes: &[u8]) -> Option<Datum> {
    let text = std::str::from_utf8(bytes).ok()?;
    let Some(list) = text.strip_suffix(',') else { return text.parse().ok().map(Datum::Number) };
    list.split(',').map(|element| element.parse().ok()).collect::<Option<Vec<_>>>().map(Datum::List)
}

/// What to `SET` so that a key holds this.
pub fn text(datum: &Datum) -> String {
    match datum {
        Datum::Nothing => String::new(),
        Datum::Number(number) => number.to_string(),
        Datum::List(elements) => elements.iter().map(|element| format!("{element},")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_their_text() {
        for datum in [Datum::Number(-7), Datum::List(vec![1]), Datum::List(vec![3, -1, 2])] {
            assert_eq!(parse(text(&datum).as_bytes()), Some(datum));
        }
        for nonsense in ["", "x", "1,,", ",", "1 ", "1,x,"] {
            assert_eq!(parse(nonsense.as_bytes()), None, "{nonsense}");
        }
    }

    #[test]
    fn programs_become_single_commands_where_possible() {
        let packed = |program: &[Step]| command(program, "p:").map(|command| command.get_packed_command());
        let expect = |line: &[&str]| Some(words(line).get_packed_command());
        assert_eq!(packed(&[Step::read(1)]), expect(&["GET", "p:1"]));
        assert_eq!(packed(&[Step::read(1), Step::read(2)]), expect(&["MGET", "p:1", "p:2"]));
        assert_eq!(packed(&[Step::Append { key: 3, value: 5 }]), expect(&["APPEND", "p:3", "5,"]));
        let count = [Step::Add { key: 0, amount: 1 }, Step::read(0)];
        assert_eq!(packed(&count), expect(&["INCRBY", "p:0", "1"]));
        assert_eq!(packed(&Step::compare_and_set(1, None, 2)), expect(&["SET", "p:1", "2", "NX"]));
        assert_eq!(packed(&Step::compare_and_set(1, Some(1), 2)), None);
        assert_eq!(packed(&[Step::read(1), Step::Write { key: 1, value: 2 }]), expect(&["GETSET", "p:1", "2"]));
        assert_eq!(packed(&[Step::read(1), Step::Write { key: 2, value: 2 }]), None);
    }
}
