//! Statements on rows: each reads what it needs, and hands its changes to a [`Writer`].

use std::ops::Bound;
use std::sync::Arc;

use annulus_base::rng::Rng;
use annulus_relation::Value;
use annulus_relation::catalog::{Catalog, ColumnId, KeyPart};
use annulus_relation::failure::Outcome;
use annulus_relation::ops::{
    Bounds, Checks, Cursor, Deferrals, Pending, Physical, RowId, Tuple, Writer, conflicting, read_rows,
};
use annulus_relation::transaction::Transaction;

use super::line::SimDatabase;
use super::tables::{
    CHILDREN, CODE, DUTY, KIND, NUMBER, NoExpressions, OWNER, PARENT, PARENTS, SETTINGS, VALUE, all, around, int, row,
    typed,
};

/// Parents with numbers below this.
pub(super) const MOST_PARENTS: u64 = 6;
/// Children with numbers below this.
pub(super) const MOST_CHILDREN: u64 = 16;
/// Notes with numbers below this, of which several may have one.
const MOST_NOTES: u64 = 24;
/// Settings with numbers below this.
const MOST_SETTINGS: u64 = 6;
/// Rows asked for at once: few, so that scans take several rounds.
const ROWS: u32 = 4;
/// The kind of children of which a parent has at most [`MOST_ENROLLED`].
pub(super) const ENROLLED: i32 = 1;
/// See [`ENROLLED`].
pub(super) const MOST_ENROLLED: usize = 2;

/// One statement.
#[derive(Clone, Debug)]
pub enum Statement {
    /// New parents, on duty.
    InsertParents(Vec<[i32; 2]>),
    /// A child, never an enrolled one.
    InsertChild([i32; 3]),
    /// A parent, or a new code for the one that has the id or the code.
    Upsert([i32; 2]),
    /// All codes in a range one higher: each takes the key that another one leaves.
    ShiftCodes(i32, i32),
    /// Other kinds, or another parent, for the children of a parent that are not enrolled.
    ChangeChildren { of: i32, parent: i32, kind: i32 },
    /// Those between two numbers.
    DeleteParents(i32, i32),
    /// Those between two numbers.
    DeleteChildren(i32, i32),
    /// Goes off duty if the other one of the pair is on, or back on.
    Duty { parent: i32, on: bool },
    /// One more enrolled child, if there are not enough.
    Enrol { parent: i32, id: i32 },
    /// A note; another one may have its number.
    InsertNote([i32; 3]),
    /// Another number, or another owner, for the notes of a number.
    ChangeNotes { of: i32, number: i32, owner: i32 },
    /// Those of an owner.
    DeleteNotes { owner: i32 },
    /// Settings, whether or not they are there already.
    Overwrite(Vec<[i32; 3]>),
    /// The values of the settings between two numbers one higher.
    CountSettings(i32, i32),
    /// Those between two numbers.
    DeleteSettings(i32, i32),
    /// All notes.
    ReadNotes,
    /// Reads a table by an index, between two keys.
    Read { table: &'static str, index: usize, from: i32, to: i32 },
}

impl Statement {
    pub(super) fn random(rng: &mut Rng) -> Self {
        let parent = rng.below(MOST_PARENTS) as i32;
        let child = rng.below(MOST_CHILDREN) as i32;
        let code = rng.below(2 * MOST_PARENTS) as i32;
        let (from, to) = (code / 2, code / 2 + rng.below(3) as i32);
        let note = rng.below(MOST_NOTES) as i32;
        let setting = rng.below(MOST_SETTINGS) as i32;
        match rng.below(28) {
            0 | 1 => {
                let second = ((parent + 1) % MOST_PARENTS as i32, rng.below(2 * MOST_PARENTS) as i32);
                let both = rng.one_in(3).then_some([second.0, second.1]);
                Self::InsertParents(std::iter::once([parent, code]).chain(both).collect())
            }
            2 | 3 => Self::InsertChild([child, parent, 2 + rng.below(3) as i32]),
            4 => Self::Upsert([parent, code]),
            5 => Self::ShiftCodes(from, to),
            6 => Self::ChangeChildren {
                of: parent,
                parent: rng.below(MOST_PARENTS) as i32,
                kind: 2 + rng.below(3) as i32,
            },
            7 => Self::DeleteParents(parent, parent + rng.below(2) as i32),
            8 => Self::DeleteChildren(child, child + rng.below(3) as i32),
            9 | 10 => Self::Duty { parent, on: rng.one_in(3) },
            11 | 12 => Self::Enrol { parent, id: child },
            13..=15 => Self::InsertNote([note, parent, code]),
            16 => Self::ChangeNotes { of: note, number: rng.below(MOST_NOTES) as i32, owner: parent },
            17 => Self::ChangeNotes { of: note, number: note, owner: parent },
            18 => Self::DeleteNotes { owner: parent },
            19..=21 => {
                let second = rng.one_in(3).then(|| [(setting + 1) % MOST_SETTINGS as i32, code, parent]);
                Self::Overwrite(std::iter::once([setting, code, parent]).chain(second).collect())
            }
            22 | 23 => Self::CountSettings(setting, setting + rng.below(3) as i32),
            24 => Self::DeleteSettings(setting, setting + rng.below(2) as i32),
            _ => Self::read(from, to, rng),
        }
    }

    /// A statement that only reads.
    pub(super) fn read(from: i32, to: i32, rng: &mut Rng) -> Self {
        if rng.one_in(5) {
            return Self::ReadNotes;
        }
        let table = *rng.pick(&[PARENTS, CHILDREN, SETTINGS]).unwrap_or(&PARENTS);
        Self::Read { table, index: rng.below(3) as usize, from, to }
    }

    /// Does it as part of a transaction.
    pub(super) async fn perform(
        &self,
        txn: &mut Transaction<SimDatabase>,
        catalog: &Catalog,
        checks: Checks,
        (pending, deferrals): (&mut Pending, &Deferrals),
        patience: u64,
    ) -> Outcome<()> {
        let Some([parents, children, notes, settings]) = all(catalog)? else { return Ok(()) };
        let mut at = Site { txn, catalog, patience };
        let mut writer = Writer::new(around(catalog), checks);
        match self {
            Self::InsertParents(rows) => {
                for [id, code] in rows {
                    writer.insert(parents.table().id, row([*id, *code, 1], &parents), None)?;
                }
            }
            Self::InsertChild(values) => drop(writer.insert(children.table().id, row(*values, &children), None)?),
            Self::Upsert(values) => at.upsert(&mut writer, &parents, *values).await?,
            Self::ShiftCodes(from, to) => {
                for old in at.scan(&parents, 1, *from, *to).await? {
                    let code = int(&old.values, CODE).unwrap_or(0) + 1;
                    change(&mut writer, &parents, old, CODE, code)?;
                }
            }
            Self::ChangeChildren { of, parent, kind } => {
                let old = at.scan(&children, 1, *of, *of).await?;
                for old in old.into_iter().filter(|old| int(&old.values, KIND) != Some(ENROLLED)) {
                    let mut new = old.values.clone();
                    let table = children.table();
                    (new[PARENT], new[KIND]) = (typed(table, PARENT, *parent), typed(table, KIND, *kind));
                    writer.update(children.table().id, old, new)?;
                }
            }
            Self::DeleteParents(from, to) => {
                for old in at.scan(&parents, 0, *from, *to).await? {
                    writer.delete(parents.table().id, old)?;
                }
            }
            Self::DeleteChildren(from, to) => {
                for old in at.scan(&children, 0, *from, *to).await? {
                    writer.delete(children.table().id, old)?;
                }
            }
            Self::Duty { parent, on } => at.duty(&mut writer, &parents, *parent, *on).await?,
            Self::Enrol { parent, id } => {
                let all = at.scan(&children, 1, *parent, *parent).await?;
                let enrolled = all.iter().filter(|child| int(&child.values, KIND) == Some(ENROLLED)).count();
                if enrolled < MOST_ENROLLED {
                    writer.insert(children.table().id, row([*id, *parent, ENROLLED], &children), None)?;
                }
            }
            Self::InsertNote(values) => {
                let id = RowId::new(at.txn.start(), 0, at.txn.writes().len() as u32);
                let id = notes.has_row_id().then_some(id);
                writer.insert(notes.table().id, row(*values, &notes), id)?;
            }
            Self::ChangeNotes { of, number, owner } => {
                for old in at.notes(&notes, NUMBER, *of).await? {
                    let mut new = old.values.clone();
                    (new[NUMBER], new[OWNER]) = (Value::Int4(*number), Value::Int4(*owner));
                    writer.update(notes.table().id, old, new)?;
                }
            }
            Self::DeleteNotes { owner } => {
                for old in at.notes(&notes, OWNER, *owner).await? {
                    writer.delete(notes.table().id, old)?;
                }
            }
            Self::Overwrite(rows) => at.overwrite(&mut writer, &settings, rows).await?,
            Self::CountSettings(from, to) => {
                for old in at.scan(&settings, 0, *from, *to).await? {
                    let value = int(&old.values, VALUE).unwrap_or(0) + 1;
                    change(&mut writer, &settings, old, VALUE, value)?;
                }
            }
            Self::DeleteSettings(from, to) => {
                for old in at.scan(&settings, 0, *from, *to).await? {
                    writer.delete(settings.table().id, old)?;
                }
            }
            Self::ReadNotes => drop(at.all(&notes).await?),
            Self::Read { table, index, from, to } => {
                let table = match *table {
                    PARENTS => &parents,
                    CHILDREN => &children,
                    _ => &settings,
                };
                let last = table.table().indexes.len() - 1;
                let index = if table.is_readable(*index) { *index } else { last.min(1) };
                at.scan(table, index, *from, *to).await?;
            }
        }
        writer.finish(at.txn, deferrals, pending, patience).await
    }
}

/// Where a statement works.
struct Site<'a> {
    txn: &'a mut Transaction<SimDatabase>,
    catalog: &'a Catalog,
    patience: u64,
}

impl Site<'_> {
    /// The rows whose key in an index lies between two numbers.
    async fn scan(&mut self, table: &Arc<Physical>, index: usize, from: i32, to: i32) -> Outcome<Vec<Tuple>> {
        let first = table.table().indexes.get(index).and_then(|index| index.keys.first());
        let is_first = |id: ColumnId| first.is_some_and(|key| key.part == KeyPart::Column(id));
        let position = table.table().columns.iter().position(|column| is_first(column.id)).unwrap_or(0);
        let (from_value, to_value) = (typed(table.table(), position, from), typed(table.table(), position, to));
        let bounds = if from == to {
            Bounds::equal(vec![from_value])
        } else {
            let (lower, upper) = (Bound::Included(from_value), Bound::Included(to_value));
            Bounds { equal: Vec::new(), lower, upper }
        };
        self.read(table, index, bounds).await
    }

    /// All rows.
    async fn all(&mut self, table: &Arc<Physical>) -> Outcome<Vec<Tuple>> {
        self.read(table, 0, Bounds::all()).await
    }

    /// The notes that have a value in a column: by its index, or by looking at all.
    async fn notes(&mut self, notes: &Arc<Physical>, column: usize, value: i32) -> Outcome<Vec<Tuple>> {
        if column == OWNER {
            return self.scan(notes, 1, value, value).await;
        }
        let all = self.all(notes).await?;
        Ok(all.into_iter().filter(|note| int(&note.values, column) == Some(value)).collect())
    }

    async fn read(&mut self, table: &Arc<Physical>, index: usize, bounds: Bounds) -> Outcome<Vec<Tuple>> {
        let mut cursor = Cursor::new(table, index, &[bounds], None, true)?;
        let mut all = Vec::new();
        while let Some(rows) = cursor.next(self.txn, self.catalog, ROWS, self.patience).await? {
            all.extend(rows);
        }
        Ok(all)
    }

    /// Unseen where the rows are all there is of the table; otherwise each is looked for, and changed or inserted.
    async fn overwrite(
        &mut self,
        writer: &mut Writer<'_, NoExpressions>,
        settings: &Physical,
        rows: &[[i32; 3]],
    ) -> Outcome<()> {
        let table = settings.table().id;
        let rows: Vec<_> = rows.iter().map(|values| row(*values, settings)).collect();
        if settings.is_rows_only() {
            for row in rows {
                writer.overwrite(table, row)?;
            }
            return Ok(());
        }
        let found = conflicting(self.txn, around(self.catalog), settings, &[0], &rows, self.patience).await?;
        for (row, conflict) in rows.into_iter().zip(found) {
            match conflict {
                Some(conflict) => drop(writer.update(table, conflict.row, row)?),
                None => drop(writer.insert(table, row, None)?),
            }
        }
        Ok(())
    }

    async fn upsert(
        &mut self,
        writer: &mut Writer<'_, NoExpressions>,
        parents: &Physical,
        [id, code]: [i32; 2],
    ) -> Outcome<()> {
        let new = row([id, code, 1], parents);
        let (around, rows) = (around(self.catalog), [new.clone()]);
        let found = conflicting(self.txn, around, parents, &[0, 1], &rows, self.patience).await?;
        match found.into_iter().next().flatten() {
            Some(conflict) => change(writer, parents, conflict.row, CODE, code)?,
            None => drop(writer.insert(parents.table().id, new, None)?),
        }
        Ok(())
    }

    async fn duty(
        &mut self,
        writer: &mut Writer<'_, NoExpressions>,
        parents: &Physical,
        parent: i32,
        on: bool,
    ) -> Outcome<()> {
        let pair = [parent, parent ^ 1];
        let places = pair.map(|id| parents.row_place(&[Value::Int4(id)]));
        let [own, other] = places;
        let rows = read_rows(self.txn, self.catalog, parents, &[own?, other?], self.patience).await?;
        let [Some(own), Some(other)] = &rows[..] else { return Ok(()) };
        if on || int(&other.values, DUTY) == Some(1) {
            change(writer, parents, own.clone(), DUTY, i32::from(on))?;
        }
        Ok(())
    }
}

/// Changes one column of a row.
fn change(
    writer: &mut Writer<'_, NoExpressions>,
    table: &Physical,
    old: Tuple,
    column: usize,
    to: i32,
) -> annulus_relation::SqlResult<()> {
    let mut new = old.values.clone();
    new[column] = typed(table.table(), column, to);
    writer.update(table.table().id, old, new)?;
    Ok(())
}
