//! A second opinion from values alone, by checkers that know nothing of stamps: `adya` on the lists, and
//! linearizability of each register.

use annulus_base::TxnId;
use annulus_check::Verdict as Found;
use annulus_check::history::{Datum, History as Values, Moment, Op, Outcome as End, Step, Value};
use annulus_check::{linearizable, serializable};
use annulus_replica::store::Stamp;
use annulus_txn::interface::{Place, When};
use bytes::Bytes;

use crate::history::{Call, Entry, History, Outcome};
use crate::ledger::Ledger;
use crate::violation::{Verdict, wrong};
use crate::workload::{Layout, Object, value};

/// Bounds the search of each register.
const BUDGET: u64 = 20_000;

pub(super) fn check(history: &History, ledger: &Ledger, layout: &Layout) -> Verdict {
    let lists = Projection { history, ledger, places: layout.all(Object::List).collect(), lists: true };
    judge("lists", serializable::check(&lists.values()))?;
    let registers = Projection { history, ledger, places: layout.all(Object::Register).collect(), lists: false };
    judge("registers", linearizable::check(&registers.values(), BUDGET))
}

fn judge(what: &str, found: Found) -> Verdict {
    match found {
        Found::Invalid(violation) => {
            wrong(format!("by the values of the {what} alone: {}: {}", violation.anomaly.name(), violation.why))
        }
        // Too much was going on at once to search it all; the exact checkers have passed.
        Found::Valid | Found::Undecided(_) => Ok(()),
    }
}

/// What the history did to one sort of keys, as values.
struct Projection<'a> {
    history: &'a History,
    ledger: &'a Ledger,
    places: Vec<Place>,
    lists: bool,
}

impl Projection<'_> {
    fn values(&self) -> Values {
        let entries = self.history.entries.iter().enumerate();
        Values { ops: entries.filter_map(|(id, entry)| self.op(id, entry)).collect() }
    }

    fn op(&self, id: usize, entry: &Entry) -> Option<Op> {
        let (steps, outcome) = match (&entry.call, &entry.outcome) {
            (Call::Read(_, When::At(_)) | Call::Scan(_), _) => return None,
            (Call::Read(keys, _), Outcome::Read(seen)) => {
                let stamps = seen.iter().map(|seen| seen.stamp);
                (keys.iter().zip(stamps).filter_map(|(place, stamp)| self.read(place, stamp)).collect(), End::Ok)
            }
            (Call::Commit(commit), outcome) => {
                let end = match outcome {
                    Outcome::Committed(..) => End::Ok,
                    Outcome::Failed => return None,
                    _ => End::Unknown,
                };
                let reads = commit.reads.iter().filter_map(|(place, stamp)| self.read(place, *stamp));
                let writes = commit.writes.iter().filter_map(|(place, _)| self.write(id, place));
                (reads.chain(writes).collect(), end)
            }
            _ => return None,
        };
        let steps: Vec<Step> = steps;
        let moment = |(micros, index): (u64, u64)| Moment { index, micros };
        let op = Op {
            process: id as u64,
            node: 0,
            steps,
            invoked: moment(entry.invoked),
            finished: entry.returned.map(moment),
            outcome,
            committed_at: None,
            read_at: None,
        };
        (!op.steps.is_empty()).then_some(op)
    }

    fn number(&self, place: &Place) -> Option<u64> {
        self.places.iter().position(|known| known == place).map(|at| at as u64)
    }

    fn read(&self, place: &Place, stamp: Stamp) -> Option<Step> {
        let key = self.number(place)?;
        let versions = self.ledger.versions.get(place);
        let found = if stamp == Stamp::NONE {
            // After a tombstone was purged, its value is not known.
            let deleted = versions.is_some_and(|versions| versions.values().any(Option::is_none));
            (!deleted).then_some(Datum::Nothing)?
        } else {
            self.datum(stamp.txn, versions?.get(&stamp)?.as_ref())?
        };
        Some(Step::Read { key, found: Some(found) })
    }

    /// A register's value is who wrote it; a deletion writes one too.
    fn datum(&self, writer: TxnId, value: Option<&Bytes>) -> Option<Datum> {
        if self.lists {
            return Some(Datum::List(value::list_in(value).into_iter().map(|element| element as Value).collect()));
        }
        Some(Datum::Number(self.ledger.entry_of(writer)? as Value))
    }

    fn write(&self, id: usize, place: &Place) -> Option<Step> {
        let (key, value) = (self.number(place)?, id as Value);
        Some(if self.lists { Step::Append { key, value } } else { Step::Write { key, value } })
    }
}
