use std::fs;
use std::time::Duration;

use annulus_ring::Basis;

use super::*;

fn with_file(text: &str, inputs: Inputs) -> Result<Loaded, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("annulus.toml");
    fs::write(&path, text).unwrap();
    load(&Inputs { file: Some(path), ..inputs })
}

fn file(text: &str) -> Result<Loaded, ConfigError> {
    with_file(text, Inputs::default())
}

fn flags(flags: &[(&str, &str)]) -> Inputs {
    let flags = flags.iter().map(|(key, text)| (Setting::find(key).unwrap(), (*text).to_owned())).collect();
    Inputs { flags, ..Inputs::default() }
}

fn environment(variables: &[(&str, &str)]) -> Inputs {
    let environment = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Inputs { environment, ..Inputs::default() }
}

/// The one problem of a configuration, with the file's directory cut off.
fn problem(loaded: Result<Loaded, ConfigError>) -> String {
    let text = loaded.expect_err("must be refused").to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    text.find("annulus.toml").map_or(text.clone(), |at| text[at..].to_owned())
}

#[test]
fn defaults_are_valid() {
    let config = load(&Inputs::default()).unwrap().config;
    assert_eq!(config.listen_peer.port(), 7400);
    assert_eq!(config.history, Duration::from_secs(600));
    assert_eq!(config.members(), vec![HostPort { host: "127.0.0.1".to_owned(), port: 7400 }]);
    assert_eq!(config.name(), "127.0.0.1:7400");
    assert_eq!(config.protocol().max_clock_drift, 500_000);
}

#[test]
fn flags_beat_the_environment_which_beats_the_file() {
    let text = "lock_timeout = \"2 s\"\nhistory = '1 h'\nzone = \"a\"\n";
    let inputs = Inputs {
        environment: environment(&[("ANNULUS_LOCK_TIMEOUT", "3 s"), ("ANNULUS_HISTORY", "2 h"), ("PATH", "/")])
            .environment,
        flags: flags(&[("lock_timeout", "4 s")]).flags,
        ..Inputs::default()
    };
    let Loaded { config, origins } = with_file(text, inputs).unwrap();
    assert_eq!(config.lock_timeout, Duration::from_secs(4));
    assert_eq!(config.history, Duration::from_secs(7200));
    assert_eq!(config.zone.as_str(), "a");
    assert_eq!(origins["lock_timeout"].to_string(), "flag --lock-timeout");
    assert_eq!(origins["history"].to_string(), "environment ANNULUS_HISTORY");
    assert!(origins["zone"].to_string().ends_with("annulus.toml:3"));
    assert_eq!(origins["engine"], Origin::Default);
}

#[test]
fn the_environment_may_name_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.toml");
    fs::write(&path, "zone = 'here'").unwrap();
    let loaded = load(&environment(&[(FILE_VARIABLE, path.to_str().unwrap())])).unwrap();
    assert_eq!(loaded.config.zone.as_str(), "here");
}

#[test]
fn problems_name_their_place_and_what_is_allowed() {
    assert_eq!(
        problem(file("zone = 'a'\nengine = \"rocks\"")),
        "annulus.toml:2: engine cannot be 'rocks'; allowed: one of fjall, sled, memory"
    );
    assert_eq!(
        problem(file("\nlock_timout = '1 s'")),
        "annulus.toml:2: there is no setting 'lock_timout'; did you mean lock_timeout?"
    );
    assert_eq!(
        problem(file("[namespaces]")),
        "annulus.toml:1: there is no setting 'namespaces'; did you mean [[namespace]]?"
    );
    assert!(problem(file("zone = ")).starts_with("annulus.toml:1: not valid TOML"));
    assert!(problem(file("cache_size = 1.5")).starts_with("annulus.toml:1: cache_size cannot be 'a TOML float'"));
    assert!(
        problem(load(&flags(&[("history", "10")])))
            .starts_with("flag --history: history cannot be '10'; allowed: a duration")
    );
    assert_eq!(
        problem(load(&environment(&[("ANNULUS_ZONES", "a")]))),
        "environment ANNULUS_ZONES: there is no setting 'ANNULUS_ZONES'; did you mean ANNULUS_ZONE?"
    );
    let missing = load(&Inputs { file: Some("/nonexistent/a.toml".into()), ..Inputs::default() });
    assert!(problem(missing).contains("check the path"));
}

#[test]
fn all_problems_are_reported_at_once() {
    let error = file("engine = 'x'\nweight = 0\nwat = 1").unwrap_err();
    assert_eq!(error.problems.len(), 3, "{error}");
}

#[test]
fn ports_stay_on_loopback_unless_insecure() {
    let text = "listen_kv = '0.0.0.0:6379'\nadvertise_kv = 'a:6379'\n";
    let refused = problem(file(text));
    assert!(refused.starts_with("annulus.toml:1: listen_kv = 0.0.0.0:6379 can be reached"), "{refused}");
    assert!(refused.contains("transport security comes later") && refused.contains("--insecure"));
    with_file(text, flags(&[("insecure", "true")])).unwrap();
    file("listen_kv = '[::1]:6379'").unwrap();
}

#[test]
fn a_wildcard_address_needs_one_to_tell_others() {
    let inputs = flags(&[("insecure", "true"), ("listen_peer", "0.0.0.0:7400")]);
    assert!(problem(load(&inputs)).contains("set advertise_peer"));
}

#[test]
fn initial_members_must_make_sense() {
    let members = |list| flags(&[("initial_members", list)]);
    load(&members("127.0.0.1:7400, b:1, c:1")).unwrap();
    load(&members("127.0.0.1:7400")).unwrap();
    assert!(problem(load(&members("127.0.0.1:7400,b:1"))).contains("only 2 members"));
    assert!(problem(load(&members("a:1,b:1,c:1"))).contains("127.0.0.1:7400"));
    assert!(problem(load(&members("127.0.0.1:7400,b:1,b:1"))).contains("twice"));
    assert!(problem(load(&flags(&[("join", "a:1")]))).contains("not possible yet"));
}

#[test]
fn a_request_outlives_the_lock_that_holds_it_up() {
    assert!(problem(load(&flags(&[("lock_timeout", "1 min")]))).contains("the shorter one"));
}

#[test]
fn namespaces_are_built_in_changed_and_added() {
    let text = "kv_slots = 64\n[[namespace]]\nname = 'db1'\nslots = 16\nreplication_factor = 1\n\
                [[namespace]]\nname = 'audit'\nby = 'name'\n";
    let all = file(text).unwrap().config.namespaces;
    assert_eq!(all.len(), 18);
    assert_eq!((all[0].name.as_str(), all[0].basis), ("system", Basis::ByName));
    assert_eq!((all[1].name.as_str(), all[1].basis), ("db0", Basis::ByKey { slots: 64 }));
    assert_eq!((all[2].basis, all[2].replication_factor), (Basis::ByKey { slots: 16 }, 1));
    assert_eq!((all[17].name.as_str(), all[17].basis, all[17].id.0), ("audit", Basis::ByName, 17));
    assert!(all.iter().enumerate().all(|(n, namespace)| namespace.id.0 as usize == n));
}

#[test]
fn wrong_namespaces_are_refused() {
    let cases = [
        ("namespace = 3", "annulus.toml:1: namespace cannot be"),
        ("[[namespace]]\nslots = 3", "annulus.toml:1: a [[namespace]] needs a 'name'"),
        ("[[namespace]]\nname = 'system'", "built in"),
        ("[[namespace]]\nname = 'a'\nby = 'name'\nslots = 3", "has no 'slots'"),
        ("[[namespace]]\nname = 'a'\nslots = 0", "annulus.toml:3: slots cannot be '0'"),
        ("[[namespace]]\nname = 'a'\nslot = 1", "annulus.toml:3: there is no setting 'slot'"),
        ("[[namespace]]\nname = 'a'\nslots = 65000", "partitions together"),
        ("[[namespace]]\nname = 'a'\nby = 'range'", "one of name, key"),
    ];
    for (text, expected) in cases {
        let problem = problem(file(text));
        assert!(problem.contains(expected), "{text}: {problem}");
    }
}

#[test]
fn the_default_file_and_the_effective_one_are_valid_and_change_nothing() {
    let defaults = load(&Inputs::default()).unwrap();
    assert_eq!(file(&default_file()).unwrap().config, defaults.config);
    let example =
        default_file().replace("# [[name", "[[name").replace("# name =", "name =").replace("# slots =", "slots =");
    assert_eq!(file(&example).unwrap().config.namespaces[2].basis, Basis::ByKey { slots: 16 });
    let changed = load(&flags(&[("log_level", "info,annulus::net=debug"), ("node_name", "n-1")])).unwrap();
    assert_eq!(file(&changed.effective()).unwrap().config, changed.config);
}

/// The tables in docs/user/configuration.md. `UPDATE_DOCS=1 cargo test` writes them anew.
#[test]
fn the_user_guide_says_what_the_program_does() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/user/configuration.md");
    let page = fs::read_to_string(&path).unwrap();
    let marker = "<!-- Generated by UPDATE_DOCS=1 cargo test: do not edit below. -->\n";
    let (before, tables) = page.split_once(marker).expect("the page has the marker");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{before}{marker}{}", markdown())).unwrap();
    } else {
        assert_eq!(tables, markdown(), "run UPDATE_DOCS=1 cargo test the_user_guide");
    }
}
