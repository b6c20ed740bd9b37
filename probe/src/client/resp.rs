//! Transactions over the Redis protocol.
//!
//! Numbers are decimal text; a list is its elements, each followed by a comma, so that `APPEND` appends to it.
//! The same program can be asked for in different [`Style`]s, which take different paths through a node.

mod housekeeping;
mod values;

use std::collections::BTreeMap;
use std::time::Duration;

use annulus_base::rng::Rng;
use annulus_check::history::{Datum, Key, Step};
use redis::{Cmd, Connection, RedisResult, Value};

use super::done::{Attempt, NONSENSE, UNEXPECTED};
use super::{Done, Doubt};
pub use values::name;
use values::{command, contents, datum, filled, queueable, text, words};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(1);
/// How long an answer may take: longer than a node tries.
const ANSWER: Duration = Duration::from_secs(4);

/// How a transaction is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// One command.
    Command,
    /// `MULTI` ... `EXEC`, the answers of its commands being what was read.
    Queued,
    /// `WATCH`, `MGET`, then `MULTI` ... `EXEC` of what follows from that.
    Watched,
}

impl Style {
    /// One that can express the program.
    pub fn any(program: &[Step], rng: &mut Rng) -> Self {
        let mut styles = vec![Self::Watched];
        if !program.iter().any(|step| matches!(step, Step::Expect { .. })) {
            styles.push(Self::Queued);
        }
        if command(program, "").is_some() {
            styles.push(Self::Command);
        }
        rng.pick(&styles).copied().unwrap_or(Self::Watched)
    }

    /// Whether the outcome of a token tells if the program was executed. A single command that finds its condition unmet
    /// is executed too, and changes nothing.
    pub fn tells_by_token(self, program: &[Step]) -> bool {
        self != Self::Command || !program.iter().any(|step| matches!(step, Step::Expect { .. }))
    }
}

/// Why there is no answer: nothing is known of what was sent.
struct Lost(String);

/// One connection to one node.
pub struct Session {
    connection: Connection,
    usable: bool,
}

impl Session {
    /// Connects to a node at HOST:PORT.
    ///
    /// # Errors
    /// If the node cannot be reached or does not answer.
    pub fn connect(address: &str) -> RedisResult<Self> {
        let client = redis::Client::open(format!("redis://{address}/"))?;
        let connection = client.get_connection_with_timeout(CONNECT)?;
        connection.set_read_timeout(Some(ANSWER))?;
        connection.set_write_timeout(Some(ANSWER))?;
        Ok(Self { connection, usable: true })
    }

    /// Whether requests and answers still go together.
    #[must_use]
    pub const fn is_usable(&self) -> bool {
        self.usable
    }

    /// Asks for a transaction. `prefix` stands before every key; `token` names it where it changes something.
    pub fn execute(&mut self, prefix: &str, program: &[Step], style: Style, token: Option<&str>) -> Done {
        let done = match style {
            Style::Command => self.single(prefix, program, token),
            Style::Queued => self.queued(prefix, program, token),
            Style::Watched => self.watched(prefix, program, token),
        };
        done.map_or_else(|done| done, Done::Ok)
    }

    /// What `ANNULUS.OUTCOME` says.
    ///
    /// # Errors
    /// If it could not be learned: the error reply, or why there was none.
    pub fn outcome(&mut self, name: &str) -> Result<String, String> {
        match self.exchange(&[words(&["ANNULUS.OUTCOME", name])]).map_err(|Lost(why)| why)?.pop() {
            Some(Value::SimpleString(outcome)) => Ok(outcome),
            Some(Value::BulkString(outcome)) => Ok(String::from_utf8_lossy(&outcome).into_owned()),
            other => Err(format!("{other:?}")),
        }
    }

    fn single(&mut self, prefix: &str, program: &[Step], token: Option<&str>) -> Attempt<Vec<Step>> {
        let ask = Ask::new(program, token);
        let command = command(program, prefix).ok_or_else(|| Done::Fail("this needs a transaction".to_owned()))?;
        let mut commands: Vec<Cmd> = token.iter().map(|token| words(&["ANNULUS.TOKEN", token])).collect();
        commands.push(command);
        let mut answers = self.exchange(&commands).map_err(|lost| ask.lost(lost))?;
        let answer = answers.pop().unwrap_or_default();
        if let Err(refused) = answers.into_iter().try_for_each(|answer| ask.accepted(answer)) {
            // The command went out all the same, without its token.
            return Err(ask.lost(Lost(format!("the token was refused: {refused:?}"))).without_names());
        }
        let mut answer = ask.success(answer)?;
        if let ([Step::Expect { .. }, ..], Value::Nil) = (program, &answer) {
            return Err(Done::Fail(UNEXPECTED.to_owned()));
        }
        if let Value::Array(values) = answer {
            // MGET: one value for each read.
            let found: Result<Vec<Datum>, Done> = values.into_iter().map(datum).collect();
            return Ok(filled(program, found?));
        }
        let reads = program.iter().filter(|step| matches!(step, Step::Read { .. })).count();
        let found = (0..reads).map(|_| datum(std::mem::take(&mut answer))).collect::<Result<Vec<_>, _>>()?;
        Ok(filled(program, found))
    }

    fn queued(&mut self, prefix: &str, program: &[Step], token: Option<&str>) -> Attempt<Vec<Step>> {
        let ask = Ask::new(program, token);
        let answers = self.transaction(&ask, program.iter().filter_map(|step| queueable(step, prefix)).collect())?;
        let mut found = Vec::new();
        for (step, answer) in program.iter().zip(answers) {
            if matches!(step, Step::Read { .. }) {
                found.push(datum(answer)?);
            }
        }
        Ok(filled(program, found))
    }

    fn watched(&mut self, prefix: &str, program: &[Step], token: Option<&str>) -> Attempt<Vec<Step>> {
        let ask = Ask::new(program, token);
        let keys: BTreeMap<Key, String> = program.iter().map(|step| (step.key(), name(prefix, step.key()))).collect();
        let with_keys = |command: &'static str| {
            words(&std::iter::once(command).chain(keys.values().map(String::as_str)).collect::<Vec<_>>())
        };
        // Nothing is changed before EXEC is sent: until then a lost answer is a failure.
        let mut answers =
            self.exchange(&[with_keys("WATCH"), with_keys("MGET")]).map_err(|Lost(why)| Done::Fail(why))?;
        let values = answers.pop().unwrap_or_default();
        let read = answers.into_iter().try_for_each(|answer| ask.accepted(answer)).and_then(|()| ask.success(values));
        let state = read.and_then(|values| contents(keys.keys().copied(), values));
        let planned = state.and_then(|state| state.execute(program).map_err(|refusal| refused(&refusal)));
        let planned = match planned {
            Ok(planned) if !planned.writes.is_empty() => planned,
            otherwise => {
                // Whatever it answers: without a transaction a watch does nothing.
                let _ = self.exchange(&[words(&["UNWATCH"])]);
                return otherwise.map(|planned| planned.steps);
            }
        };
        let writes = planned.writes.iter().map(|(key, datum)| words(&["SET", &keys[key], &text(datum)])).collect();
        let ask = Ask { steps: planned.steps, ..ask };
        self.transaction(&ask, writes)?;
        Ok(ask.steps)
    }

    /// `MULTI`, the commands, `EXEC`: the answers of the commands. The token goes before, as it must.
    fn transaction(&mut self, ask: &Ask<'_>, commands: Vec<Cmd>) -> Attempt<Vec<Value>> {
        let mut begin: Vec<Cmd> = ask.token.iter().map(|token| words(&["ANNULUS.TOKEN", token])).collect();
        begin.push(words(&["MULTI"]));
        let begun = self.exchange(&begin).map_err(|Lost(why)| Done::Fail(why))?;
        if let Err(refused) = begun.into_iter().try_for_each(|answer| ask.accepted(answer)) {
            // Neither a transaction nor a token must be left behind.
            self.usable = false;
            return Err(refused);
        }
        let count = commands.len();
        let mut sent = commands;
        sent.push(words(&["EXEC"]));
        let mut answers = self.exchange(&sent).map_err(|lost| ask.lost(lost))?;
        match ask.success(answers.pop().unwrap_or_default())? {
            Value::Nil => Err(Done::Fail("a watched key had changed".to_owned())),
            Value::Array(answers) if answers.len() == count => {
                answers.into_iter().map(|answer| ask.success(answer)).collect()
            }
            other => Err(Done::Fail(format!("{NONSENSE}EXEC answered {other:?}"))),
        }
    }

    /// Sends all commands at once and reads their answers. After a failure the connection is of no use.
    fn exchange(&mut self, commands: &[Cmd]) -> Result<Vec<Value>, Lost> {
        let bytes: Vec<u8> = commands.iter().flat_map(Cmd::get_packed_command).collect();
        let sent = self.connection.send_packed_command(&bytes);
        let answers = sent.and_then(|()| commands.iter().map(|_| self.connection.recv_response()).collect());
        answers.map_err(|error| {
            self.usable = false;
            Lost(if error.is_timeout() { "no answer in time".to_owned() } else { "connection lost".to_owned() })
        })
    }
}

/// What is asked for, to judge answers by.
struct Ask<'a> {
    steps: Vec<Step>,
    token: Option<&'a str>,
    changes: bool,
}

impl<'a> Ask<'a> {
    fn new(program: &[Step], token: Option<&'a str>) -> Self {
        Self { steps: program.to_vec(), token, changes: program.iter().any(Step::changes) }
    }

    /// Reads change nothing, so that losing their answer is failing.
    fn lost(&self, Lost(why): Lost) -> Done {
        if !self.changes {
            return Done::Fail(why);
        }
        let names = self.token.iter().map(|token| (*token).to_owned()).collect();
        Done::Unknown(Doubt { why, names, steps: self.steps.clone() })
    }

    /// The answer, if it is no error.
    fn success(&self, answer: Value) -> Attempt<Value> {
        let Value::ServerError(error) = answer else { return Ok(answer) };
        let detail = error.details().unwrap_or_default();
        let id = detail.rsplit(' ').next().filter(|_| error.code() == "UNKNOWN").map(str::to_owned);
        // A token is used once here. So if it was used already, then by this very transaction.
        let is_unknown = matches!(error.code(), "UNKNOWN" | "DONE") && self.changes;
        if !is_unknown {
            let is_honest = !matches!(error.code(), "ERR" | "WRONGTYPE");
            return Err(Done::Fail(if is_honest {
                format!("-{}", error.code())
            } else {
                format!("{NONSENSE}-{} {detail}", error.code())
            }));
        }
        let names = self.token.iter().map(|token| (*token).to_owned()).chain(id).collect();
        Err(Done::Unknown(Doubt { why: format!("-{}", error.code()), names, steps: self.steps.clone() }))
    }

    fn accepted(&self, answer: Value) -> Attempt<()> {
        self.success(answer).map(|_| ())
    }
}

fn refused(refusal: &annulus_check::state::Refusal) -> Done {
    use annulus_check::state::Refusal;
    match refusal {
        Refusal::Unexpected { .. } => Done::Fail(UNEXPECTED.to_owned()),
        Refusal::Unfit { .. } => Done::Fail(format!("{NONSENSE}{refusal}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> Value {
        redis::parse_redis_value(format!("-{text}\r\n").as_bytes()).unwrap()
    }

    #[test]
    fn only_what_may_have_happened_is_unknown() {
        let write = [Step::Write { key: 1, value: 2 }];
        let judge = |program: &[Step], text: &str| Ask::new(program, Some("t")).success(error(text)).unwrap_err();
        for code in ["TRYAGAIN", "BUSY", "UNAVAILABLE", "LIMIT", "ABORTED"] {
            assert_eq!(judge(&write, &format!("{code} some reason")), Done::Fail(format!("-{code}")));
        }
        let Done::Unknown(doubt) = judge(&write, "UNKNOWN ask before retrying: 1-2-3") else { panic!("unknown") };
        assert_eq!(doubt.names, ["t", "1-2-3"]);
        assert!(matches!(judge(&write, "DONE token already used"), Done::Unknown(_)));
        assert!(matches!(judge(&[Step::read(1)], "UNKNOWN x: 1-2-3"), Done::Fail(_)));
        let lost = |program: &[Step]| Ask::new(program, None).lost(Lost("lost".to_owned()));
        assert!(matches!(lost(&write), Done::Unknown(_)) && matches!(lost(&[Step::read(1)]), Done::Fail(_)));
        assert!(judge(&write, "ERR value is not an integer").nonsense().is_some());
    }
}
