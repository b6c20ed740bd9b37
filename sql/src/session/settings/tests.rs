use super::*;

fn settings() -> Settings {
    Settings::new("alice", &[("application_name".to_owned(), "psql".to_owned())]).unwrap()
}

fn set(settings: &mut Settings, name: &str, value: &str, local: bool) -> SqlResult<()> {
    settings.set(name, &[value.to_owned()], local)
}

#[test]
fn names_are_in_order_so_that_they_are_found() {
    assert!(all_known().is_sorted_by(|a, b| a.name < b.name));
    assert!(all_known().iter().all(|known| find(known.name).is_some()));
}

#[test]
fn values_are_checked_and_brought_into_one_form() {
    let cases = [
        ("statement_timeout", "90000", Ok("90s")),
        ("statement_timeout", "1500", Ok("1500ms")),
        ("statement_timeout", "2 min", Ok("2min")),
        ("statement_timeout", "1 year", Err(SqlState::INVALID_PARAMETER_VALUE)),
        ("statement_timeout", "-1", Err(SqlState::INVALID_PARAMETER_VALUE)),
        ("array_nulls", "TRUE", Ok("on")),
        ("array_nulls", "maybe", Err(SqlState::INVALID_PARAMETER_VALUE)),
        ("extra_float_digits", "3", Ok("3")),
        ("extra_float_digits", "4", Err(SqlState::INVALID_PARAMETER_VALUE)),
        ("client_encoding", "utf-8", Ok("UTF8")),
        ("client_encoding", "'utf-8'", Ok("UTF8")),
        ("client_encoding", "sql_ascii", Ok("SQL_ASCII")),
        ("client_encoding", "martian", Err(SqlState::INVALID_PARAMETER_VALUE)),
        ("client_encoding", "latin1", Err(SqlState::FEATURE_NOT_SUPPORTED)),
        ("datestyle", "iso", Ok("ISO, MDY")),
        ("datestyle", "European", Ok("ISO, DMY")),
        ("datestyle", "iso, ymd", Ok("ISO, YMD")),
        ("datestyle", "dmy, us", Err(SqlState::INVALID_PARAMETER_VALUE)),
        ("datestyle", "martian", Err(SqlState::INVALID_PARAMETER_VALUE)),
        ("intervalstyle", "ISO_8601", Ok("iso_8601")),
        ("timezone", "INTERVAL '-08:00:00'", Ok("<-08>+08")),
        ("timezone", "INTERVAL '1 day'", Err(SqlState::INVALID_PARAMETER_VALUE)),
        ("timezone", "-1.5", Ok("<-01:30>+01:30")),
        ("datestyle", "german", Ok("German, DMY")),
        ("datestyle", "german, ymd", Ok("German, YMD")),
        ("datestyle", "postgresql", Ok("Postgres, MDY")),
        ("datestyle", "sql, iso", Err(SqlState::INVALID_PARAMETER_VALUE)),
        ("timezone", "Europe/Berlin", Ok("Europe/Berlin")),
        ("timezone", "Nowhere", Err(SqlState::INVALID_PARAMETER_VALUE)),
        ("server_version", "9", Err(SqlState::CANT_CHANGE_RUNTIME_PARAM)),
        ("no_such_thing", "1", Err(SqlState::UNDEFINED_OBJECT)),
        ("my.own", "x", Ok("x")),
        ("standard_conforming_strings", "off", Err(SqlState::INVALID_PARAMETER_VALUE)),
    ];
    for (name, value, expected) in cases {
        let mut settings = settings();
        let found = set(&mut settings, name, value, false).map_err(|error| error.state());
        let found = found.map(|()| settings.get(name).unwrap());
        assert_eq!(found, expected.map(str::to_owned), "{name} = {value}");
    }
}

#[test]
fn what_is_set_locally_ends_with_the_transaction() {
    let mut settings = settings();
    set(&mut settings, "statement_timeout", "1s", false).unwrap();
    set(&mut settings, "statement_timeout", "2s", true).unwrap();
    assert_eq!(settings.statement_timeout(), Some(Duration::from_secs(2)));
    settings.end_transaction();
    assert_eq!(settings.statement_timeout(), Some(Duration::from_secs(1)));
}

#[test]
fn what_is_set_in_a_transaction_is_undone_with_it() {
    let mut settings = settings();
    let saved = settings.save();
    set(&mut settings, "search_path", "a", false).unwrap();
    assert_eq!(&*settings.search_path(), ["a"]);
    settings.restore(&saved);
    assert_eq!(&*settings.search_path(), ["alice", "public"]);
    assert_eq!(settings.get("search_path").unwrap(), "\"$user\", public");
}

#[test]
fn reset_returns_to_what_the_client_began_with() {
    let mut settings = settings();
    set(&mut settings, "application_name", "x", false).unwrap();
    settings.reset("application_name", false).unwrap();
    assert_eq!(settings.get("Application_Name").unwrap(), "psql");
    set(&mut settings, "timezone", "+02", false).unwrap();
    settings.reset_all();
    assert_eq!(settings.get("timezone").unwrap(), "UTC");
}

#[test]
fn clients_are_told_of_what_changed() {
    let mut settings = settings();
    let first = settings.take_reported();
    assert!(first.contains(&("application_name", "psql".to_owned())));
    assert!(first.contains(&("server_version", SERVER_VERSION.to_owned())));
    assert!(settings.take_reported().is_empty());
    set(&mut settings, "timezone", "Asia/Tokyo", false).unwrap();
    assert_eq!(settings.take_reported(), [("TimeZone", "Asia/Tokyo".to_owned())]);
}
