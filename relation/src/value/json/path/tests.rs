use super::*;

/// PostgreSQL's own examples.
#[test]
fn paths_print_as_postgresql_prints_them() {
    let mut checked = 0;
    for line in include_str!("tests.txt").lines().filter(|line| !line.starts_with('#')) {
        let (text, wanted) = line.split_once('\t').unwrap();
        let printed = JsonPath::parse(text).map(|path| path.print());
        match wanted.strip_prefix('!') {
            Some(message) => assert_eq!(printed.unwrap_err().report().message, message, "{text}"),
            None => {
                let printed = printed.unwrap();
                assert_eq!(printed, wanted, "{text}");
                assert_eq!(JsonPath::parse(&printed).unwrap().print(), printed, "{text}");
            }
        }
        checked += 1;
    }
    assert!(checked > 150);
}

#[test]
fn nesting_is_bounded() {
    for (open, inner, close) in
        [("(", "1", ")"), ("-", "$", ""), ("$ ? (", "@ == 1", ")"), ("$[", "1", "]"), ("!(", "$ == 1", ")")]
    {
        let nested = |depth: usize| format!("{}{inner}{}", open.repeat(depth), close.repeat(depth));
        assert!(JsonPath::parse(&nested(10)).is_ok() || open.starts_with("$ ?") || open == "!(", "{open}");
        for depth in [MAX_NESTING + 1, 100_000] {
            assert_eq!(JsonPath::parse(&nested(depth)).unwrap_err().state().0, "54001", "{open}");
        }
    }
    let long = format!("${}", ".a".repeat(100_000));
    assert_eq!(JsonPath::parse(&long).unwrap().print().len(), 1 + 4 * 100_000);
}
