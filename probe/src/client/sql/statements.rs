//! Programs as statements.

use std::collections::{BTreeMap, BTreeSet};

use annulus_check::foreign_keys::{GONE, THERE, parent};
use annulus_check::history::{Datum, Key, Step};
use annulus_check::state::register;

use super::answer::Answer;
use super::layout::Layout;
use super::style::Instant;
use crate::client::Done;
use crate::client::done::Attempt;

/// Keys further apart than this are not read as a range.
const RANGE: u64 = 64;
/// What conditions that are not met look like.
const UNIQUE_VIOLATION: &str = "23505";
const FOREIGN_KEY_VIOLATION: &str = "23503";

/// One statement, and what its answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its text.
    pub sql: String,
    meaning: Meaning,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Meaning {
    /// It finds what these steps read or expect.
    Finds { steps: Vec<usize>, conditional: bool },
    /// It changes something whatever there is.
    Changes,
    /// It must change a row, otherwise the program's expectation was not met; an error of that code says the same.
    MustChange(Option<&'static str>),
}

impl Statement {
    const fn new(sql: String, meaning: Meaning) -> Self {
        Self { sql, meaning }
    }

    /// Whether what comes after it depends on what it answers.
    pub const fn is_conditional(&self) -> bool {
        matches!(self.meaning, Meaning::MustChange(_) | Meaning::Finds { conditional: true, .. })
    }

    /// Whether an error of that code is a condition that is not met.
    pub fn may_violate(&self, code: &str) -> bool {
        matches!(self.meaning, Meaning::MustChange(Some(violation)) if violation == code)
    }

    /// Puts what was found into the program's steps.
    pub fn take(&self, answer: &Answer, program: &mut [Step]) -> Attempt<()> {
        let steps = match &self.meaning {
            Meaning::Finds { steps, .. } => steps,
            Meaning::MustChange(_) if answer.count == 0 => return Err(Done::unexpected()),
            Meaning::Changes | Meaning::MustChange(_) => return Ok(()),
        };
        let mut contents: BTreeMap<Key, Datum> = BTreeMap::new();
        for (key, datum) in answer.contents()? {
            if contents.insert(key, datum).is_some() {
                return Err(Done::absurd(format!("two rows of key {key} in {:?}", answer.rows)));
            }
        }
        let what = |key: &Key| contents.get(key).cloned().unwrap_or_default();
        for at in steps {
            match &mut program[*at] {
                Step::Read { key, found } => *found = Some(what(key)),
                Step::Expect { key, value } if what(key) != register(*value) => return Err(Done::unexpected()),
                _ => {}
            }
        }
        Ok(())
    }
}

/// How programs become statements.
#[derive(Clone, Copy, Debug)]
pub struct Statements {
    /// Where keys are.
    pub layout: Layout,
    /// Whether several keys are read as a range.
    pub range: bool,
    /// Whether what is read is locked.
    pub lock: bool,
}

impl Statements {
    /// One for each change, and one for all reads in a row.
    pub fn of(self, program: &[Step]) -> Vec<Statement> {
        let mut statements = Vec::new();
        let mut reads: Vec<usize> = Vec::new();
        for (at, step) in program.iter().enumerate() {
            if step.changes() {
                statements.extend(self.find(program, &mut reads));
                statements.extend(self.change(step, &program[..at]));
            } else if self.layout != Layout::Families || matches!(step, Step::Read { .. }) {
                // Families need not look: foreign keys do.
                reads.push(at);
            }
        }
        statements.extend(self.find(program, &mut reads));
        statements
    }

    fn find(self, program: &[Step], reads: &mut Vec<usize>) -> Option<Statement> {
        let steps = std::mem::take(reads);
        let keys: BTreeSet<Key> = steps.iter().map(|at| program[*at].key()).collect();
        let (first, last) = (keys.first()?, keys.last()?);
        let which = if self.range && first < last && last - first <= RANGE {
            format!("k >= {first} AND k <= {last}")
        } else {
            let keys: Vec<String> = keys.iter().map(Key::to_string).collect();
            format!("k IN ({})", keys.join(", "))
        };
        let sql = match self.layout {
            Layout::Primary | Layout::Unique | Layout::Wide => {
                format!("SELECT k, v, l FROM kv WHERE {which}{}", if self.lock { " FOR UPDATE" } else { "" })
            }
            Layout::Families => format!(
                "SELECT k, {THERE}, NULL FROM parents WHERE {which} UNION ALL SELECT k, {GONE}, NULL FROM gone WHERE {which} \
                 UNION ALL SELECT k, {THERE}, NULL FROM children WHERE {which}"
            ),
        };
        let conditional = steps.iter().any(|at| matches!(program[*at], Step::Expect { .. }));
        Some(Statement::new(sql, Meaning::Finds { steps, conditional }))
    }

    fn change(self, step: &Step, before: &[Step]) -> Vec<Statement> {
        let key = step.key();
        let always = |sql: String| Statement::new(sql, Meaning::Changes);
        if self.layout != Layout::Families {
            let is_new = before.contains(&Step::Expect { key, value: None });
            return vec![match step {
                Step::Write { value, .. } if is_new => Statement::new(
                    format!("INSERT INTO kv (k, v) VALUES ({key}, {value})"),
                    Meaning::MustChange(Some(UNIQUE_VIOLATION)),
                ),
                step => always(upsert(std::slice::from_ref(step)).unwrap_or_default()),
            }];
        }
        let constrained = |sql: String| Statement::new(sql, Meaning::MustChange(Some(FOREIGN_KEY_VIOLATION)));
        match step {
            Step::Write { value: GONE, .. } => vec![
                constrained(format!("DELETE FROM parents WHERE k = {key}")),
                always(format!("INSERT INTO gone VALUES ({key})")),
            ],
            _ if parent(key) == key => vec![always(format!("INSERT INTO parents VALUES ({key})"))],
            _ => vec![constrained(format!("INSERT INTO children VALUES ({key}, {})", parent(key)))],
        }
    }
}

/// A whole program as one statement, where there is one.
pub fn single(layout: Layout, program: &[Step]) -> Option<Statement> {
    let mut statements = Statements { layout, range: false, lock: false }.of(program);
    if statements.len() == 1 {
        return statements.pop();
    }
    if layout == Layout::Families {
        return None;
    }
    match program {
        [Step::Add { key: added, .. }, Step::Read { key, .. }] if added == key => {
            let sql = upsert(&program[..1])? + " RETURNING k, v, l";
            Some(Statement::new(sql, Meaning::Finds { steps: vec![1], conditional: false }))
        }
        [Step::Expect { key: expected, value: old }, Step::Write { key, value }] if expected == key => {
            let sql = match old {
                Some(old) => format!("UPDATE kv SET v = {value} WHERE k = {key} AND v = {old}"),
                None => format!("INSERT INTO kv (k, v) VALUES ({key}, {value}) ON CONFLICT (k) DO NOTHING"),
            };
            Some(Statement::new(sql, Meaning::MustChange(None)))
        }
        changes => Some(Statement::new(upsert(changes)?, Meaning::Changes)),
    }
}

/// What reads by a query over the whole table: such a query keeps what it has found in memory, and uses what an earlier
/// one has kept. The condition is one that needs all rows.
pub fn whole(program: &[Step]) -> Statement {
    let keys: BTreeSet<String> = program.iter().map(|step| step.key().to_string()).collect();
    let keys: Vec<String> = keys.into_iter().collect();
    let sql = format!("SELECT k, max(v), max(l) FROM kv GROUP BY k HAVING max(k) IN ({})", keys.join(", "));
    Statement::new(sql, Meaning::Finds { steps: (0..program.len()).collect(), conditional: false })
}

/// What reads the state of an instant of the past.
pub fn past(layout: Layout, program: &[Step], at: Instant) -> Statement {
    let mut all = (0..program.len()).collect();
    let find = Statements { layout, range: false, lock: false }.find(program, &mut all);
    let mut statement = find.unwrap_or_else(|| Statement::new("SELECT 1".to_owned(), Meaning::Changes));
    statement.sql += &format!(" AS OF SYSTEM TIME to_timestamp({})", at.seconds());
    statement
}

/// Changes of one kind, each of another key, as one statement.
fn upsert(changes: &[Step]) -> Option<String> {
    let keys: BTreeSet<Key> = changes.iter().map(Step::key).collect();
    let (column, sum) = match changes.first()? {
        Step::Write { .. } => ("v", "excluded.v"),
        Step::Add { .. } => ("v", "kv.v + excluded.v"),
        Step::Append { .. } => ("l", "kv.l || excluded.l"),
        Step::Read { .. } | Step::Expect { .. } => return None,
    };
    let same = changes.iter().all(|step| std::mem::discriminant(step) == std::mem::discriminant(&changes[0]));
    let rows: Vec<String> = changes.iter().map(row).collect();
    (same && keys.len() == changes.len()).then(|| {
        format!(
            "INSERT INTO kv (k, {column}) VALUES {} ON CONFLICT (k) DO UPDATE SET {column} = {sum}",
            rows.join(", ")
        )
    })
}

fn row(change: &Step) -> String {
    match change {
        Step::Write { key, value } | Step::Add { key, amount: value } => format!("({key}, {value})"),
        Step::Append { key, value } => format!("({key}, '{value},')"),
        Step::Read { key, .. } | Step::Expect { key, .. } => format!("({key}, NULL)"),
    }
}

#[cfg(test)]
mod tests {
    use annulus_check::foreign_keys::FAMILY;

    use super::*;

    fn texts(layout: Layout, program: &[Step]) -> Vec<String> {
        let statements = Statements { layout, range: false, lock: false }.of(program);
        statements.into_iter().map(|statement| statement.sql).collect()
    }

    #[test]
    fn reads_in_a_row_are_one_statement() {
        let program = [Step::read(3), Step::read(1), Step::Append { key: 1, value: 9 }, Step::read(1)];
        let expected = [
            "SELECT k, v, l FROM kv WHERE k IN (1, 3)",
            "INSERT INTO kv (k, l) VALUES (1, '9,') ON CONFLICT (k) DO UPDATE SET l = kv.l || excluded.l",
            "SELECT k, v, l FROM kv WHERE k IN (1)",
        ];
        assert_eq!(texts(Layout::Primary, &program), expected);
        let ranged = Statements { layout: Layout::Unique, range: true, lock: true }.of(&program[..2]);
        assert_eq!(ranged[0].sql, "SELECT k, v, l FROM kv WHERE k >= 1 AND k <= 3 FOR UPDATE");
    }

    #[test]
    fn expectations_are_conditions() {
        let program = Step::compare_and_set(1, None, 2);
        let statements = Statements { layout: Layout::Primary, range: false, lock: false }.of(&program);
        assert!(statements.iter().all(Statement::is_conditional));
        assert!(statements[1].may_violate("23505") && !statements[0].may_violate("23505"));
        let answer = Answer { rows: vec![vec![Some("1".to_owned()), Some("7".to_owned()), None]], count: 1 };
        assert_eq!(statements[0].take(&answer, &mut program.clone()), Err(Done::unexpected()));
        assert_eq!(statements[0].take(&Answer::default(), &mut program.clone()), Ok(()));
        assert_eq!(statements[1].take(&Answer::default(), &mut program.clone()), Err(Done::unexpected()));
    }

    #[test]
    fn what_is_found_is_put_into_the_reads() {
        let mut program = vec![Step::read(1), Step::read(2)];
        let statement = single(Layout::Primary, &program).unwrap();
        let row = || vec![Some("2".to_owned()), Some("7".to_owned()), None];
        statement.take(&Answer { rows: vec![row()], count: 1 }, &mut program).unwrap();
        let found = |key, found| Step::Read { key, found: Some(found) };
        assert_eq!(program, [found(1, Datum::Nothing), found(2, Datum::Number(7))]);
        let twice = statement.take(&Answer { rows: vec![row(), row()], count: 2 }, &mut program);
        assert!(twice.unwrap_err().nonsense().is_some());
    }

    #[test]
    fn single_statements_where_possible() {
        let text = |program: &[Step]| single(Layout::Primary, program).map(|statement| statement.sql);
        let transfer = [Step::Add { key: 1, amount: -3 }, Step::Add { key: 2, amount: 3 }];
        let expected =
            "INSERT INTO kv (k, v) VALUES (1, -3), (2, 3) ON CONFLICT (k) DO UPDATE SET v = kv.v + excluded.v";
        assert_eq!(text(&transfer).as_deref(), Some(expected));
        let swap = Step::compare_and_set(1, Some(2), 3);
        assert_eq!(text(&swap).as_deref(), Some("UPDATE kv SET v = 3 WHERE k = 1 AND v = 2"));
        let count = [Step::Add { key: 1, amount: 1 }, Step::read(1)];
        assert!(text(&count).unwrap().ends_with("RETURNING k, v, l"));
        let same = Step::Append { key: 1, value: 1 };
        assert_eq!(text(&[same.clone(), same]), None, "one row cannot be changed twice");
        assert_eq!(text(&[Step::read(1), Step::Write { key: 1, value: 1 }]), None);
    }

    #[test]
    fn foreign_keys_take_the_place_of_expectations() {
        let there = Step::Expect { key: FAMILY, value: Some(THERE) };
        let born = [there.clone(), Step::Write { key: FAMILY + 1, value: THERE }];
        assert_eq!(texts(Layout::Families, &born), ["INSERT INTO children VALUES (5, 4)"]);
        let gone = [there, Step::Write { key: FAMILY, value: GONE }];
        assert_eq!(texts(Layout::Families, &gone), ["DELETE FROM parents WHERE k = 4", "INSERT INTO gone VALUES (4)"]);
        let born = single(Layout::Families, &born).unwrap();
        assert!(born.may_violate("23503") && single(Layout::Families, &gone).is_none());
    }
}
