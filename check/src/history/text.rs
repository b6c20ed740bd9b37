//! Histories as text: Jepsen's `history.edn`, which Elle and Knossos read, and JSON lines with the same
//! fields, which elle-cli reads.

use serde_json::Value;

use super::{Form, History, edn, event};

/// A text that is not a history.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

/// The history as EDN, one event on a line.
#[must_use]
pub fn to_edn(history: &History, form: Form) -> String {
    lines(history, form, |event, out| edn::write(event, out))
}

/// The history as JSON, one event on a line.
#[must_use]
pub fn to_json(history: &History, form: Form) -> String {
    lines(history, form, |event, out| out.push_str(&event.to_string()))
}

/// Reads what [`to_edn`] or Jepsen wrote: a map for each event, or one vector of them.
pub fn from_edn(text: &str) -> Result<History, ParseError> {
    event::history(unwrapped(edn::read(text)?))
}

/// Reads what [`to_json`] wrote: an object for each event on its own line, or one array of them.
pub fn from_json(text: &str) -> Result<History, ParseError> {
    let wrong = |line, error: serde_json::Error| ParseError { line, what: error.to_string() };
    if text.trim_start().starts_with('[') {
        let all = serde_json::from_str(text).map_err(|error| wrong(error.line(), error))?;
        return event::history(unwrapped(vec![(1, all)]));
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let events: Result<Vec<_>, _> = lines
        .map(|(at, line)| Ok((at + 1, serde_json::from_str(line).map_err(|error| wrong(at + 1, error))?)))
        .collect();
    event::history(events?)
}

fn lines(history: &History, form: Form, write: impl Fn(&Value, &mut String)) -> String {
    let mut out = String::new();
    for event in event::events(history, form) {
        write(&event, &mut out);
        out.push('\n');
    }
    out
}

/// The events of a text that holds them in one array.
fn unwrapped(mut forms: Vec<(usize, Value)>) -> Vec<(usize, Value)> {
    match forms.as_mut_slice() {
        [(line, Value::Array(events))] => std::mem::take(events).into_iter().map(|event| (*line, event)).collect(),
        _ => forms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Mix, serial};
    use crate::history::{Datum, Outcome, Recorder, Step};

    fn sample() -> History {
        let mut recorder = Recorder::new(2);
        let write = recorder.invoke(0, 1, vec![Step::Write { key: 1, value: 5 }], 10);
        let cas = recorder.invoke(1, 2, Step::compare_and_set(1, None, 6), 11);
        recorder.ok(write, vec![Step::Write { key: 1, value: 5 }], 12).unwrap();
        recorder.committed_at(write, u64::MAX - 1);
        recorder.fail(cas, 13).unwrap();
        let mixed =
            vec![Step::read(1), Step::read(2), Step::Append { key: 2, value: -4 }, Step::Add { key: 3, amount: 2 }];
        let lost = recorder.invoke(0, 0, mixed.clone(), 14);
        let late = recorder.invoke(1, 0, mixed.clone(), 15);
        recorder.unknown(lost, 16).unwrap();
        let mut learned = mixed;
        learned[0] = Step::Read { key: 1, found: Some(Datum::Nothing) };
        recorder.ok(late, learned, 17).unwrap();
        let read = recorder.invoke(1, 0, vec![Step::read(2)], 18);
        recorder.read_at(read, 99);
        recorder.ok(read, vec![Step::Read { key: 2, found: Some(Datum::List(vec![1, -4])) }], 19).unwrap();
        recorder.invoke(1, 0, vec![Step::read(1)], 20);
        recorder.into_history()
    }

    #[test]
    fn histories_survive_their_text_forms() {
        let mut histories = vec![sample(), History::default()];
        histories.extend((0..8).map(|seed| serial(seed, Mix::ALL[seed as usize % Mix::ALL.len()], 100, 5)));
        for history in histories {
            for form in [Form::Transactions, Form::Registers] {
                assert_eq!(from_edn(&to_edn(&history, form)).unwrap(), history);
                assert_eq!(from_json(&to_json(&history, form)).unwrap(), history);
            }
        }
    }

    #[test]
    fn registers_are_written_as_knossos_wants_them() {
        let text = to_edn(&sample(), Form::Registers);
        let first = text.lines().next().unwrap();
        assert!(first.contains(":f :write") && first.contains(":value [1 5]"), "{first}");
        assert!(text.contains(":f :cas") && text.contains(":value [1 [nil 6]]"), "{text}");
        assert!(text.contains(":f :txn"), "{text}");
    }

    #[test]
    fn jepsens_own_history_is_read() {
        let text = "{:type :invoke, :f :txn, :value [[:append 9 1] [:r 8 nil]], :time 12000, :process 0, :index 0}\n\
                    {:type :info, :f :start-partition, :process :nemesis, :index 1}\n\
                    {:type :invoke, :f :txn, :value [[:r 9 nil]], :time 13000, :process 1, :index 2}\n\
                    #jepsen.history.Op{:type :ok, :f :txn, :value [[:append 9 1] [:r 8 [4]]], :time 14000, :process 0, :index 3}\n\
                    {:type :info, :f :txn, :value [[:r 9 nil]], :process 1, :index 4}";
        let history = from_edn(text).unwrap();
        assert_eq!(history.ops.len(), 2);
        assert_eq!(history.ops[0].steps[1], Step::Read { key: 8, found: Some(Datum::List(vec![4])) });
        assert_eq!(history.ops[0].finished.unwrap().micros, 14);
        assert_eq!(history.ops[1].outcome, Outcome::Unknown);
    }

    #[test]
    fn bad_histories_are_refused_with_their_line() {
        let invoke = r#"{"type":"invoke","process":0,"index":0,"f":"txn","value":[["r",1,null]]}"#;
        for bad in [
            "7",
            r#"{"type":"begin","process":0}"#,
            r#"{"type":"ok","process":0,"index":3,"f":"txn","value":[]}"#,
            r#"{"type":"invoke","process":0,"index":3,"f":"txn","value":[["q",1,1]]}"#,
            r#"{"type":"ok","process":0,"index":3,"f":"txn","value":[["r",1,"x"]]}"#,
            r#"{"type":"ok","process":0,"index":0,"f":"txn","value":[["r",1,3]]}"#,
            r#"{"type":"invoke","process":0,"index":3,"f":"txn","value":[]}"#,
            "{",
        ] {
            let error = from_json(&format!("{invoke}\n{bad}\n")).unwrap_err();
            assert_eq!(error.line, 2, "{bad}: {error}");
        }
    }
}
