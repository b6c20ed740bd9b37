//! Histories as events, in the maps that Jepsen uses.
//!
//! Besides Jepsen's `index`, `type`, `process`, `f`, `value` and `time` (nanoseconds) an invocation carries
//! `node`, `committed-at` and `read-at`, and a completion the positions of reads whose answer was never
//! learned (`unread`; they are missing from its value). Other tools skip what they do not know.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::text::ParseError;
use super::{Datum, History, Key, Moment, Op, OpId, Outcome, Step, Value};

/// How operations are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// All as transactions, as Elle wants them.
    Transactions,
    /// Reads, writes and compare-and-sets of one key as operations on registers, as Knossos wants them
    /// (independent keys: each value is `[key value]`); all others as transactions.
    Registers,
}

/// The events in order.
pub(super) fn events(history: &History, form: Form) -> Vec<Json> {
    let mut events = BTreeMap::new();
    for op in &history.ops {
        events.insert(op.invoked.index, invocation(op, form));
        if let Some(finished) = op.finished {
            events.insert(finished.index, completion(op, finished, form));
        }
    }
    events.into_values().collect()
}

fn invocation(op: &Op, form: Form) -> Json {
    let asked: Vec<_> = op.steps.iter().map(unanswered).collect();
    let mut event = event(op, op.invoked, "invoke", form, &asked);
    event.insert("node".into(), op.node.into());
    event.extend(op.committed_at.map(|at| ("committed-at".into(), at.into())));
    event.extend(op.read_at.map(|at| ("read-at".into(), at.into())));
    Json::Object(event)
}

fn completion(op: &Op, finished: Moment, form: Form) -> Json {
    if op.outcome != Outcome::Ok {
        let kind = if op.outcome == Outcome::Fail { "fail" } else { "info" };
        let asked: Vec<_> = op.steps.iter().map(unanswered).collect();
        return Json::Object(event(op, finished, kind, form, &asked));
    }
    let is_unread = |step: &Step| matches!(step, Step::Read { found: None, .. });
    let unread: Vec<_> = (0..op.steps.len()).filter(|at| is_unread(&op.steps[*at])).collect();
    let known: Vec<_> = op.steps.iter().filter(|step| !is_unread(step)).cloned().collect();
    let mut event = event(op, finished, "ok", form, &known);
    if !unread.is_empty() {
        event.insert("unread".into(), json!(unread));
    }
    Json::Object(event)
}

fn unanswered(step: &Step) -> Step {
    match step {
        Step::Read { key, .. } => Step::read(*key),
        other => other.clone(),
    }
}

fn event(op: &Op, moment: Moment, kind: &str, form: Form, steps: &[Step]) -> Map<String, Json> {
    let (f, value) = match form {
        Form::Registers => register(op, steps).unwrap_or_else(|| transaction(steps)),
        Form::Transactions => transaction(steps),
    };
    let mut event = Map::new();
    event.insert("index".into(), moment.index.into());
    event.insert("time".into(), moment.micros.saturating_mul(1_000).into());
    event.insert("type".into(), kind.into());
    event.insert("process".into(), op.process.into());
    event.insert("f".into(), f.into());
    event.insert("value".into(), value);
    event
}

fn transaction(steps: &[Step]) -> (&'static str, Json) {
    let value = steps.iter().map(|step| match step {
        Step::Read { key, found } => json!(["r", key, found.as_ref().map_or(Json::Null, datum)]),
        Step::Expect { key, value } => json!(["expect", key, value]),
        Step::Write { key, value } => json!(["w", key, value]),
        Step::Append { key, value } => json!(["append", key, value]),
        Step::Add { key, amount } => json!(["add", key, amount]),
    });
    ("txn", value.collect())
}

/// The operation on one register, if it is one: judged by what was asked, so that both events agree.
fn register(op: &Op, steps: &[Step]) -> Option<(&'static str, Json)> {
    if op.steps.len() != steps.len() {
        return None;
    }
    match steps {
        [Step::Read { key, found }] if !op.is_ok() || found.is_some() || has_answer(op) => {
            Some(("read", json!([key, found.as_ref().map_or(Json::Null, datum)])))
        }
        [Step::Write { key, value }] => Some(("write", json!([key, value]))),
        [Step::Expect { key, value: old }, Step::Write { key: written, value: new }] if key == written => {
            Some(("cas", json!([key, [json!(old), json!(new)]])))
        }
        _ => None,
    }
}

fn has_answer(op: &Op) -> bool {
    matches!(op.steps.as_slice(), [Step::Read { found: Some(_), .. }])
}

fn datum(datum: &Datum) -> Json {
    match datum {
        Datum::Nothing => Json::Null,
        Datum::Number(value) => json!(value),
        Datum::List(values) => json!(values),
    }
}

/// Puts events, each with its line, together to a history. Events without a number for a process (a
/// nemesis) are skipped.
pub(super) fn history(events: Vec<(usize, Json)>) -> Result<History, ParseError> {
    let mut pairing = Pairing::default();
    for (line, event) in events {
        pairing.add(&event).map_err(|what| ParseError { line, what })?;
    }
    Ok(pairing.history)
}

#[derive(Default)]
struct Pairing {
    history: History,
    open: BTreeMap<u64, OpId>,
    next_index: u64,
}

impl Pairing {
    fn add(&mut self, event: &Json) -> Result<(), String> {
        let fields = event.as_object().ok_or("an event must be a map")?;
        let Some(process) = fields.get("process").and_then(Json::as_u64) else { return Ok(()) };
        let moment = self.moment(fields)?;
        match fields.get("type").and_then(Json::as_str) {
            Some("invoke") => self.invoke(process, moment, fields),
            Some("ok") => self.finish(process, moment, Outcome::Ok, fields),
            Some("fail") => self.finish(process, moment, Outcome::Fail, fields),
            Some("info") => self.finish(process, moment, Outcome::Unknown, fields),
            _ => Err("the type must be invoke, ok, fail or info".into()),
        }
    }

    fn moment(&mut self, fields: &Map<String, Json>) -> Result<Moment, String> {
        let index = fields.get("index").and_then(Json::as_u64).unwrap_or(self.next_index);
        if index < self.next_index || index == u64::MAX {
            return Err(format!("index {index} does not follow the events before it"));
        }
        self.next_index = index + 1;
        Ok(Moment { index, micros: fields.get("time").and_then(Json::as_u64).unwrap_or(0) / 1_000 })
    }

    fn invoke(&mut self, process: u64, invoked: Moment, fields: &Map<String, Json>) -> Result<(), String> {
        let number = |name| fields.get(name).and_then(Json::as_u64);
        if self.open.insert(process, self.history.ops.len()).is_some() {
            return Err(format!("process {process} has an operation open"));
        }
        self.history.ops.push(Op {
            process,
            node: number("node").and_then(|node| u32::try_from(node).ok()).unwrap_or(0),
            steps: steps(fields, false)?,
            invoked,
            finished: None,
            outcome: Outcome::Unknown,
            committed_at: number("committed-at"),
            read_at: number("read-at"),
        });
        Ok(())
    }

    fn finish(
        &mut self,
        process: u64,
        moment: Moment,
        outcome: Outcome,
        fields: &Map<String, Json>,
    ) -> Result<(), String> {
        let id = self.open.remove(&process).ok_or_else(|| format!("process {process} has no operation open"))?;
        let op = &mut self.history.ops[id];
        op.outcome = outcome;
        op.finished = Some(moment);
        if outcome == Outcome::Ok {
            let answered = with_unread(steps(fields, true)?, &op.steps, fields)?;
            if !answered.iter().map(unanswered).eq(op.steps.iter().cloned()) {
                return Err("the completion is not about the steps that were asked".into());
            }
            op.steps = answered;
        }
        Ok(())
    }
}

/// The steps of a completion, with the reads that it lacks taken from the invocation.
fn with_unread(mut steps: Vec<Step>, asked: &[Step], fields: &Map<String, Json>) -> Result<Vec<Step>, String> {
    for position in fields.get("unread").and_then(Json::as_array).into_iter().flatten() {
        let position = position.as_u64().and_then(|at| usize::try_from(at).ok());
        match position.and_then(|at| Some((at, asked.get(at)?))) {
            Some((at, step)) if at <= steps.len() => steps.insert(at, step.clone()),
            _ => return Err("an unread position is not one of the invocation".into()),
        }
    }
    Ok(steps)
}

fn steps(fields: &Map<String, Json>, answered: bool) -> Result<Vec<Step>, String> {
    let value = fields.get("value").unwrap_or(&Json::Null);
    let parts = value.as_array().map(Vec::as_slice);
    match (fields.get("f").and_then(Json::as_str), parts) {
        (Some("txn"), Some(steps)) => steps.iter().map(|step| transaction_step(step, answered)).collect(),
        (Some("read"), Some([key, found])) => Ok(vec![read(key, found, answered)?]),
        (Some("write"), Some([key, value])) => Ok(vec![Step::Write { key: as_key(key)?, value: number(value)? }]),
        (Some("cas"), Some([key, Json::Array(pair)])) if pair.len() == 2 => {
            Ok(Step::compare_and_set(as_key(key)?, optional(&pair[0])?, number(&pair[1])?))
        }
        (f, _) => Err(format!("cannot read value {value} of an operation {f:?}")),
    }
}

fn transaction_step(step: &Json, answered: bool) -> Result<Step, String> {
    let parts = step.as_array().map(Vec::as_slice);
    let Some([Json::String(kind), key, value]) = parts else {
        return Err(format!("{step} is not [kind key value]"));
    };
    match kind.as_str() {
        "r" => read(key, value, answered),
        "expect" => Ok(Step::Expect { key: as_key(key)?, value: optional(value)? }),
        "w" => Ok(Step::Write { key: as_key(key)?, value: number(value)? }),
        "append" => Ok(Step::Append { key: as_key(key)?, value: number(value)? }),
        "add" => Ok(Step::Add { key: as_key(key)?, amount: number(value)? }),
        _ => Err(format!("{kind:?} is not one of r, expect, w, append, add")),
    }
}

fn read(key: &Json, found: &Json, answered: bool) -> Result<Step, String> {
    let found = match found {
        Json::Null => Datum::Nothing,
        Json::Array(values) => Datum::List(values.iter().map(number).collect::<Result<_, _>>()?),
        other => Datum::Number(number(other)?),
    };
    Ok(Step::Read { key: as_key(key)?, found: answered.then_some(found) })
}

fn as_key(value: &Json) -> Result<Key, String> {
    value.as_u64().ok_or_else(|| format!("{value} is not a key: keys are whole numbers from 0"))
}

fn number(value: &Json) -> Result<Value, String> {
    value.as_i64().ok_or_else(|| format!("{value} is not a value: values are whole numbers of 64 bits"))
}

fn optional(value: &Json) -> Result<Option<Value>, String> {
    if value.is_null() { Ok(None) } else { number(value).map(Some) }
}
