//! The list of databases: their names and what they are made of.
//!
//! It is in a namespace of its own. The databases that exist from the start are on it without being stored, until
//! something about them changes. All have as many replicas as the cluster keeps of everything that does not say otherwise.

use annulus_base::time::Micros;
use annulus_base::{Key, KeyRange};
use annulus_replica::store::Stamp;
use annulus_ring::{Consistency, DynamicNamespace};
use annulus_txn::interface::{Database, Seen, TxnError, When};
use wincode::{SchemaRead, SchemaWrite};

use super::edit::Edit;
use super::garbage::{Progress, Swept};
use super::home::{Home, Kind};
use super::loaded::Catalog;
use super::record;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::failure::Outcome;
use crate::transaction::{Mode, Transaction};

/// The name of the database that exists from the start, unless it was renamed.
pub const DEFAULT_DATABASE_NAME: &str = "annulus";
/// The name of the database that PostgreSQL's tools connect to when they make others or drop them (`createdb`, the test
/// runners of frameworks). It exists from the start, unless it was renamed or another one has its name.
pub const MAINTENANCE_DATABASE_NAME: &str = "postgres";

/// Most databases: the list is read at once.
const MOST: usize = 10_000;

/// A database.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct DatabaseInfo {
    /// What tells its namespace from those of others. Never reused.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// The number of its partitions: 1 is `BY NAME`, more are `BY KEY`.
    pub slots: u16,
    /// Replicas of each partition.
    pub replication_factor: u8,
    /// What readers are promised.
    pub consistency: Consistency,
    /// What `COMMENT` said.
    pub comment: Option<String>,
}

impl DatabaseInfo {
    /// Where it keeps its data.
    ///
    /// # Errors
    /// `22023` if there are no such databases.
    pub fn home(&self) -> SqlResult<Home> {
        home(self.number, self.slots, self.replication_factor)
    }
}

fn home(number: u32, slots: u16, replication_factor: u8) -> SqlResult<Home> {
    let impossible = |error: annulus_ring::DynamicNamespaceError| {
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, error.to_string())
    };
    DynamicNamespace::new(number, slots, replication_factor).map(Home::new).map_err(impossible)
}

/// A record of the list.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub(super) enum Listed {
    Live(DatabaseInfo),
    /// Dropped; its data is being deleted.
    Dropped(DatabaseInfo, Progress),
}

impl Listed {
    const fn info(&self) -> &DatabaseInfo {
        let (Self::Live(info) | Self::Dropped(info, _)) = self;
        info
    }
}

/// The list as it was at one instant.
#[derive(Clone, Debug)]
pub struct Databases {
    home: Home,
    live: Vec<DatabaseInfo>,
    next_number: u32,
    stamp: Stamp,
}

pub(super) fn list_home<D: Database>(db: &D) -> SqlResult<Home> {
    home(DynamicNamespace::CATALOGUE, 1, db.replication_factor())
}

/// Those that exist from the start.
fn first_databases<D: Database>(db: &D) -> [DatabaseInfo; 2] {
    let default = (DynamicNamespace::DEFAULT_DATABASE, DEFAULT_DATABASE_NAME, "default database");
    let maintenance = "default administrative connection database";
    let maintenance = (DynamicNamespace::MAINTENANCE_DATABASE, MAINTENANCE_DATABASE_NAME, maintenance);
    [default, maintenance].map(|(number, name, comment)| DatabaseInfo {
        number,
        name: name.to_owned(),
        slots: 1,
        replication_factor: db.replication_factor(),
        consistency: Consistency::Strong,
        comment: Some(comment.to_owned()),
    })
}

/// All records of the list and its root, at one instant.
async fn read<D: Database>(db: &D, home: Home, patience: Micros) -> Result<(Seen, Vec<(Key, Seen)>), TxnError> {
    let root = home.record(Kind::Root, 0);
    let root = KeyRange { start: root.key.clone(), end: root.key.successor() };
    let ranges = vec![(home.catalog(), root, 1), (home.catalog(), Home::records(Kind::Database), u32::MAX)];
    let mut found = db.scan(ranges, When::Latest, patience).await?.into_iter();
    let root = found.next().and_then(|root| root.rows.into_iter().next());
    let root = root.map_or(Seen { stamp: Stamp::NONE, value: None }, |(_, root)| root);
    let Some(records) = found.next() else { return Ok((root, Vec::new())) };
    if records.range.end < Home::records(Kind::Database).end {
        return Err(TxnError::Limit("the list of databases is too long to be read at once".to_owned()));
    }
    Ok((root, records.rows))
}

impl Databases {
    /// Reads the list.
    ///
    /// # Errors
    /// `XX001` if a record is damaged, and every [`TxnError`].
    pub async fn load<D: Database>(db: &D, patience: Micros) -> Outcome<Self> {
        let home = list_home(db)?;
        let (root, records) = read(db, home, patience).await?;
        let root_key = home.record(Kind::Root, 0).key;
        let stored = root.value.as_deref().map(|bytes| record::decode(&root_key, bytes)).transpose()?;
        let mut this = Self { home, live: Vec::new(), next_number: stored.unwrap_or(2), stamp: root.stamp };
        let mut first = Vec::from(first_databases(db));
        for (key, seen) in &records {
            let listed = decode(key, seen)?;
            let number = listed.info().number;
            first.retain(|database| database.number != number);
            if let Listed::Live(info) = listed {
                this.live.push(info);
            }
        }
        first.retain(|database| this.check_free(&database.name).is_ok());
        this.live.append(&mut first);
        this.live.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(this)
    }

    /// All databases, by name.
    #[must_use]
    pub fn all(&self) -> &[DatabaseInfo] {
        &self.live
    }

    /// The database of a name.
    ///
    /// # Errors
    /// `3D000` if there is none.
    pub fn get(&self, name: &str) -> SqlResult<&DatabaseInfo> {
        let missing = || SqlError::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist"));
        self.live.iter().find(|database| database.name == name).ok_or_else(missing)
    }

    fn check_free(&self, name: &str) -> SqlResult<()> {
        match self.get(name) {
            Ok(_) => Err(SqlError::new(SqlState::DUPLICATE_DATABASE, format!("database \"{name}\" already exists"))),
            Err(_) => Ok(()),
        }
    }

    /// Demands that the list is still so at commit.
    pub fn expect_unchanged<D: Database>(&self, transaction: &mut Transaction<D>) {
        transaction.expect(self.home.record(Kind::Root, 0), self.stamp);
    }

    /// Creates a database as part of `transaction`; its number is given here.
    ///
    /// # Errors
    /// `42P04` if the name is taken, `22023` if the options are impossible, `54000` if there are too many.
    pub fn create<D: Database>(
        &self,
        transaction: &mut Transaction<D>,
        mut info: DatabaseInfo,
    ) -> SqlResult<DatabaseInfo> {
        self.check_free(&info.name)?;
        if self.live.len() >= MOST {
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("there are {MOST} databases already")));
        }
        info.number = self.next_number;
        info.home()?;
        if info.number == DynamicNamespace::MAINTENANCE_DATABASE {
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "there are no more numbers for databases"));
        }
        self.write(transaction, &Listed::Live(info.clone()), self.next_number + 1);
        Ok(info)
    }

    /// Changes a database's name or comment as part of `transaction`.
    ///
    /// # Errors
    /// `42P04` if the name is taken, `3D000` if there is no such database.
    pub fn alter<D: Database>(
        &self,
        transaction: &mut Transaction<D>,
        name: &str,
        change: impl FnOnce(&mut DatabaseInfo),
    ) -> SqlResult<DatabaseInfo> {
        let mut info = self.get(name)?.clone();
        change(&mut info);
        if info.name != name {
            self.check_free(&info.name)?;
        }
        self.write(transaction, &Listed::Live(info.clone()), self.next_number);
        Ok(info)
    }

    /// Drops a database, whose catalog is given, as part of `transaction`: whoever uses it finds it gone. Its data
    /// will be deleted by [`sweep_databases`].
    ///
    /// # Errors
    /// `3D000` if there is no such database, `55006` if it exists from the start.
    pub fn drop<D: Database>(&self, transaction: &mut Transaction<D>, name: &str, catalog: &Catalog) -> SqlResult<()> {
        let info = self.get(name)?;
        if [DynamicNamespace::DEFAULT_DATABASE, DynamicNamespace::MAINTENANCE_DATABASE].contains(&info.number) {
            let message = "a database that exists from the start cannot be dropped";
            return Err(SqlError::new(SqlState::OBJECT_IN_USE, message).hint("Drop its schemas instead."));
        }
        let mut edit = Edit::new(catalog);
        edit.drop_all();
        edit.finish(transaction)?;
        self.write(transaction, &Listed::Dropped(info.clone(), Progress::default()), self.next_number);
        Ok(())
    }

    fn write<D: Database>(&self, transaction: &mut Transaction<D>, listed: &Listed, next_number: u32) {
        self.expect_unchanged(transaction);
        transaction.put(self.home.record(Kind::Root, 0), record::encode(&next_number));
        transaction.put(self.home.record(Kind::Database, listed.info().number), record::encode(listed));
    }
}

fn decode(key: &Key, seen: &Seen) -> SqlResult<Listed> {
    record::decode(key, seen.value.as_deref().unwrap_or_default())
}

/// Deletes up to `limit` keys of databases that were dropped.
///
/// # Errors
/// `XX001` if a record is damaged, and every [`TxnError`] of the step; a conflict means that another node was faster.
pub async fn sweep_databases<D: Database>(db: &D, limit: u32, patience: Micros) -> Outcome<Swept> {
    let list = list_home(db)?;
    for (key, seen) in read(db, list, patience).await?.1 {
        let Listed::Dropped(info, mut progress) = decode(&key, &seen)? else { continue };
        let (home, place) = (info.home()?, list.record(Kind::Database, info.number));
        let mut transaction = Transaction::new(db.clone(), Mode::Statement, db.begin());
        transaction.expect(place.clone(), seen.stamp);
        // All but the root, which says that the database was dropped, and is the very first key.
        let all = KeyRange { start: home.record(Kind::Root, 0).key.successor(), end: KeyRange::all().end };
        match progress.advance(&mut transaction, home.partitions(), &all, limit, patience).await? {
            true => transaction.delete(place),
            false => transaction.put(place, record::encode(&Listed::Dropped(info, progress))),
        }
        transaction.commit(patience).await?;
        return Ok(Swept::Part);
    }
    Ok(Swept::Clean)
}
