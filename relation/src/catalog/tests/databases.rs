//! The list of databases.

use annulus_ring::Consistency;

use super::super::databases::{Listed, list_home};
use super::super::home::Kind;
use super::*;

fn list(fake: &Fake) -> Databases {
    run(Databases::load(fake, SECOND)).unwrap()
}

fn names(fake: &Fake) -> Vec<String> {
    list(fake).all().iter().map(|database| database.name.clone()).collect()
}

fn info(name: &str, slots: u16) -> DatabaseInfo {
    DatabaseInfo {
        number: 0,
        name: name.to_owned(),
        slots,
        replication_factor: 3,
        consistency: Consistency::Strong,
        comment: None,
    }
}

fn create_database(fake: &Fake, name: &str, slots: u16) -> Outcome<DatabaseInfo> {
    let mut transaction = transaction(fake);
    let created = list(fake).create(&mut transaction, info(name, slots))?;
    run(transaction.commit(SECOND))?;
    Ok(created)
}

fn drop_database(fake: &Fake, name: &str) -> Outcome<()> {
    let (mut transaction, list) = (transaction(fake), list(fake));
    let catalog = run(load(fake, list.get(name)?.home()?, When::Latest, SECOND))?;
    list.drop(&mut transaction, name, &catalog)?;
    run(transaction.commit(SECOND))?;
    Ok(())
}

#[test]
fn databases_come_and_go() {
    let fake = Fake::new();
    assert_eq!(names(&fake), [DEFAULT_DATABASE_NAME, MAINTENANCE_DATABASE_NAME]);
    let (a, b) = (create_database(&fake, "a", 1).unwrap(), create_database(&fake, "b", 256).unwrap());
    assert_ne!(a.number, b.number);
    assert_eq!(b.home().unwrap().partitions().len(), 256);
    assert_eq!(names(&fake), ["a", DEFAULT_DATABASE_NAME, "b", MAINTENANCE_DATABASE_NAME]);
    assert_eq!(state(create_database(&fake, "a", 1).map(drop)), "42P04");
    assert_eq!(state(create_database(&fake, "c", 3).map(drop)), "22023");
    drop_database(&fake, "a").unwrap();
    assert_eq!(names(&fake), [DEFAULT_DATABASE_NAME, "b", MAINTENANCE_DATABASE_NAME]);
    assert_eq!(state(drop_database(&fake, "a")), "3D000");
    let again = create_database(&fake, "a", 1).unwrap();
    assert!(again.number > b.number);
}

/// So that whatever number of nodes the cluster's own records survive, SQL does, too.
#[test]
fn the_list_and_the_first_database_have_as_many_replicas_as_the_cluster_keeps() {
    for factor in [1, 3, 5] {
        let fake = Fake::new();
        fake.set_replication_factor(factor);
        create_database(&fake, "a", 1).unwrap();
        let known = |number| DynamicNamespace::new(number, 1, factor).unwrap();
        let of_the_list = known(DynamicNamespace::CATALOGUE).first_partition();
        assert!(fake.present().iter().all(|(place, _)| place.partition == of_the_list), "{factor}");
        let first = list(&fake).get(DEFAULT_DATABASE_NAME).unwrap().home().unwrap();
        assert_eq!(first.namespace, known(DynamicNamespace::DEFAULT_DATABASE));
        drop_database(&fake, "a").unwrap();
        while run(sweep_databases(&fake, 3, SECOND)).unwrap() == Swept::Part {}
        assert_eq!(names(&fake), [DEFAULT_DATABASE_NAME, MAINTENANCE_DATABASE_NAME]);
    }
}

#[test]
fn a_database_is_renamed() {
    let fake = Fake::new();
    create_database(&fake, "a", 1).unwrap();
    let rename = |from: &str, to: &str| -> Outcome<()> {
        let mut transaction = transaction(&fake);
        list(&fake).alter(&mut transaction, from, |info| info.name = to.to_owned())?;
        run(transaction.commit(SECOND))?;
        Ok(())
    };
    rename("a", "b").unwrap();
    rename(DEFAULT_DATABASE_NAME, "main").unwrap();
    assert_eq!(names(&fake), ["b", "main", MAINTENANCE_DATABASE_NAME]);
    rename(MAINTENANCE_DATABASE_NAME, "tools").unwrap();
    assert_eq!(names(&fake), ["b", "main", "tools"]);
    rename("b", MAINTENANCE_DATABASE_NAME).unwrap();
    drop_database(&fake, MAINTENANCE_DATABASE_NAME).unwrap();
    assert_eq!(names(&fake), ["main", "tools"]);
    assert_eq!(state(drop_database(&fake, "tools")), "55006");
    create_database(&fake, "b", 1).unwrap();
    assert_eq!(state(rename("b", "main")), "42P04");
    assert_eq!(state(drop_database(&fake, "main")), "55006");
}

#[test]
fn two_databases_of_one_name_conflict() {
    let fake = Fake::new();
    let before = list(&fake);
    create_database(&fake, "a", 1).unwrap();
    let mut transaction = transaction(&fake);
    before.create(&mut transaction, info("a", 1)).unwrap();
    assert!(matches!(run(transaction.commit(SECOND)), Err(TxnError::Conflict(_))));
}

#[test]
fn whoever_uses_a_dropped_database_finds_out_and_its_data_is_deleted() {
    let fake = Fake::new();
    let created = create_database(&fake, "a", 4).unwrap();
    let home = created.home().unwrap();
    let in_it = |change: &dyn Fn(&mut Edit)| {
        let mut transaction = transaction(&fake);
        let mut edit = Edit::new(&run(load(&fake, home, When::Latest, SECOND)).unwrap());
        change(&mut edit);
        edit.finish(&mut transaction).unwrap();
        run(transaction.commit(SECOND)).unwrap();
    };
    in_it(&|edit| edit.put_table(table(20_000, "t")).unwrap());
    let cached = run(load(&fake, home, When::Latest, SECOND)).unwrap();
    drop_database(&fake, "a").unwrap();
    let mut late = transaction(&fake);
    cached.expect_table(&mut late, 20_000, home.catalog());
    assert!(matches!(run(late.commit(SECOND)), Err(TxnError::Conflict(_))));
    while run(sweep_databases(&fake, 3, SECOND)).unwrap() == Swept::Part {}
    let left = fake.present().into_iter().filter(|(place, _)| place.partition.namespace == home.namespace.id());
    assert_eq!(left.count(), 1);
    assert_eq!(state(run(load(&fake, home, When::Latest, SECOND)).map(drop)), "3D000");
    assert_eq!(names(&fake), [DEFAULT_DATABASE_NAME, MAINTENANCE_DATABASE_NAME]);
}

/// A cluster that is older than the database for tools may have one of that name.
#[test]
fn a_database_of_the_same_name_hides_the_one_for_tools() {
    let fake = Fake::new();
    let first = list(&fake).get(MAINTENANCE_DATABASE_NAME).unwrap().clone();
    assert_eq!(first.number, DynamicNamespace::MAINTENANCE_DATABASE);
    let mut transaction = transaction(&fake);
    let place = list_home(&fake).unwrap().record(Kind::Database, 2);
    transaction.put(place, record::encode(&Listed::Live(DatabaseInfo { number: 2, ..first })));
    run(transaction.commit(SECOND)).unwrap();
    assert_eq!(list(&fake).get(MAINTENANCE_DATABASE_NAME).unwrap().number, 2);
    assert_eq!(names(&fake), [DEFAULT_DATABASE_NAME, MAINTENANCE_DATABASE_NAME]);
}
