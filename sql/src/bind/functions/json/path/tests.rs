//! What no path may do: exhaust the stack, the memory, or the time of a node.

use annulus_relation::value::Env;
use annulus_relation::value::json::MAX_DEPTH;
use annulus_relation::{SqlResult, Value};

use super::query;

fn run(document: &str, path: &str) -> SqlResult<Vec<Value>> {
    query(&[Value::Jsonb(document.into()), Value::text(path)], false, &Env::default())
}

fn state(document: &str, path: &str) -> &'static str {
    run(document, path).map_or_else(|error| error.state().0, |_| "")
}

#[test]
fn recursion_is_bounded() {
    let nested = format!("{}1{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
    assert_eq!(run(&nested, "$.**").unwrap().len(), MAX_DEPTH + 1);
    assert_eq!(state("1", &format!("${}", "[0]".repeat(400))), "");
    for step in ["[0]", "[*]", ".abs()", ".** ", " ? (@ == 1)"] {
        assert_eq!(state("1", &format!("${}", step.repeat(10_000))), "54001", "{step}");
    }
    // As deep as paths nest, at the deepest place of a document.
    let nest = |open: &str, inner: &str, close: &str| format!("{}{inner}{}", open.repeat(30), close.repeat(30));
    let filters = nest("@ ? (exists(", "@", "))");
    assert_eq!(state(&nested, &format!("$.** ? (exists({filters}))")), "");
    let subscripts = nest("$[", "0", "]");
    assert_eq!(state("0", &subscripts), "");
    let signs = format!("$.** ? ({}@ < 0)", "-".repeat(90));
    assert_eq!(state(&nested, &signs), "");
}

#[test]
fn time_and_memory_are_bounded() {
    let flat = format!("[{}1]", "1,".repeat(1_500));
    assert_eq!(state(&flat, "$[*] ? (@ == $[*] && @ == $[*] && !(@ == $[*] + 1))"), "");
    assert_eq!(state(&flat, "$[*] ? ($[*] ? (@ == 2 || @ == 3 || @ == 4 || @ == 5 || @ == 6) == 2)"), "54000");
    let objects = format!("[{}{{}}]", r#"{"a": 1, "b": {"c": 2}},"#.repeat(20_000));
    assert_eq!(run(&objects, "$[*].keyvalue()").unwrap().len(), 40_000);
    let nested = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    assert_eq!(state(&nested, "$.**.**.**.**.**.**"), "54000");
    assert_eq!(state(&flat, "$[0 to 2147483647]"), "");
    assert_eq!(state("[1]", &format!("$[{}0]", "0 to 2147483647, ".repeat(1_000))), "");
}

/// Bytes of all kinds, some of them paths: answered, or an error.
#[test]
fn whatever_is_written_is_answered() {
    let words = [
        "$",
        "@",
        ".a",
        ".*",
        ".**",
        "[*]",
        "[0]",
        "[last]",
        "{1}",
        "{2 to last}",
        "?",
        "(",
        ")",
        "==",
        "<",
        "&&",
        "||",
        "!",
        "+",
        "-",
        "*",
        "/",
        "%",
        "1",
        "0",
        "1e400",
        "\"x\"",
        "$v",
        "exists",
        "is unknown",
        "starts with",
        "like_regex",
        "flag",
        "\"i\"",
        ".size()",
        ".type()",
        ".double()",
        ".keyvalue()",
        ".datetime()",
        ".datetime(\"yyyy\")",
        "strict ",
        "lax ",
        "null",
        "to",
        ",",
        "\\u0041",
        "'",
    ];
    let document = r#"{"a": [1, 2, {"b": null}], "x": "2020-01-01", "n": -1.5}"#;
    let mut rng = annulus_base::rng::Rng::new(7);
    let mut answered = 0;
    for _ in 0..20_000 {
        let path: Vec<&str> = (0..rng.between(1, 9)).filter_map(|_| rng.pick(&words).copied()).collect();
        answered += usize::from(run(document, &path.concat()).is_ok());
    }
    assert!(answered > 100, "{answered}");
}
