//! Replays what PostgreSQL 15 answered (`values/*.tsv`, recorded by `values/record.sh`) against [`annulus_relation::value`].

use std::cmp::Ordering;

use annulus_relation::error::SqlResult;
use annulus_relation::value::datetime::{self as dt, Source};
use annulus_relation::value::json::{self, Json};
use annulus_relation::value::{
    CastContext, Env, IntervalStyle, Numeric, SqlType, TimeZone, Value, can_cast, cast, compare, print,
};
use annulus_relation::value::{decode_binary, encode_binary, trim_char};
use proptest::strategy::Strategy as _;

/// Rows where the answer differs on purpose: the table, a part of the row, and why.
const DIFFERENCES: [(&str, &str, &str); 4] = [
    ("input", "{{}", "arrays of more than one dimension are not looked into further"),
    ("calls", "294276-01-01 | timestamp:4713-01-01 BC", "PostgreSQL's difference overflows unseen"),
    (
        "calls",
        "age($1, $2)\ttimestamp:infinity | timestamp:2001-01-01",
        "PostgreSQL takes infinity for the year 294247",
    ),
    ("calls", "age($1, $2)\ttimestamptz:infinity | timestamptz:2001-01-01", "the same"),
];

fn env() -> Env {
    Env { zone: TimeZone::named("Europe/Berlin").expect("a zone"), ..Env::default() }
}

fn unescape(field: &str) -> String {
    let mut chars = field.chars();
    let mut out = String::new();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('b') => '\u{8}',
                Some(other) => other,
                None => '\\',
            },
            c => c,
        });
    }
    out
}

/// Replays a table: `answer` gets the columns but the last one, which it should equal.
fn replay(name: &str, table: &str, answer: impl Fn(&[String]) -> SqlResult<String>) {
    let mut wrong = Vec::new();
    for line in table.lines() {
        let columns: Vec<String> = line.split('\t').map(unescape).collect();
        let (expected, given) = columns.split_last().expect("columns");
        let actual = answer(given).unwrap_or_else(|error| {
            let report = error.report();
            let detail = report.detail.as_ref().map(|detail| format!(" / {detail}")).unwrap_or_default();
            format!("!{} {}{detail}", report.state, report.message)
        });
        let excused = DIFFERENCES.iter().any(|(table, part, _)| *table == name && line.contains(part));
        if (actual == *expected) == excused {
            wrong.push(format!("{}\n    expected {expected}\n    actual   {actual}", given.join(" | ")));
        }
    }
    assert!(wrong.is_empty(), "{} rows of {name} differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn ty(name: &str) -> SqlResult<SqlType> {
    SqlType::parse_name(name)
}

fn value(name: &str, text: &str) -> SqlResult<(Value, SqlType)> {
    let ty = ty(name)?;
    let value = cast(Value::text(text), &SqlType::Unknown, &ty, CastContext::Explicit, &env())?;
    Ok((value, ty))
}

fn shown(value: &Value, ty: &SqlType) -> String {
    if value.is_null() { "NULL".to_owned() } else { print(value, ty, &env()) }
}

#[test]
fn text_is_read_and_printed_as_by_postgres() {
    replay("input", include_str!("values/input.tsv"), |row| {
        let (value, ty) = value(&row[0], &row[1])?;
        Ok(shown(&value, &ty))
    });
}

#[test]
fn every_value_survives_its_binary_form() {
    for line in include_str!("values/input.tsv").lines() {
        let row: Vec<String> = line.split('\t').map(unescape).collect();
        if let Ok((value, ty)) = value(&row[0], &row[1]) {
            let mut bytes = Vec::new();
            encode_binary(&value, &ty, &mut bytes).unwrap();
            let back = decode_binary(&bytes, &ty).unwrap();
            assert_eq!(shown(&back, &ty), shown(&value, &ty), "{line}");
        }
    }
}

#[test]
fn casts_convert_as_in_postgres() {
    replay("casts", include_str!("values/casts.tsv"), |row| {
        let (value, from) = value(&row[0], &row[3])?;
        let to = ty(&row[1])?;
        let context = if row[2] == "explicit" { CastContext::Explicit } else { CastContext::Assignment };
        cast(value, &from, &to, context, &env()).map(|value| shown(&value, &to))
    });
}

#[test]
fn casts_happen_where_they_do_in_postgres() {
    replay("matrix", include_str!("values/matrix.tsv"), |row| {
        let (from, to) = (ty(&row[0])?, ty(&row[1])?);
        let contexts = [(CastContext::Implicit, "i"), (CastContext::Assignment, "a"), (CastContext::Explicit, "e")];
        let first = contexts.iter().find(|(context, _)| can_cast(&from, &to, *context));
        Ok(first.map_or("-", |(_, letter)| letter).to_owned())
    });
}

#[test]
fn functions_answer_as_in_postgres() {
    replay("calls", include_str!("values/calls.tsv"), |row| {
        let arguments = row[2].split(" | ").map(|argument| {
            let (ty, text) = argument.split_once(':').unwrap();
            value(ty, text)
        });
        call(&row[0], &Arguments(arguments.collect::<SqlResult<_>>()?))
    });
}

struct Arguments(Vec<(Value, SqlType)>);

/// The argument at a position, as what its type holds.
macro_rules! argument {
    ($name:ident, $variant:ident, $ty:ty) => {
        fn $name(&self, at: usize) -> $ty {
            match &self.0[at].0 {
                Value::$variant(value) => value.clone(),
                other => panic!("{other:?}"),
            }
        }
    };
}

impl Arguments {
    argument!(int, Int4, i32);
    argument!(long, Int8, i64);
    argument!(float, Float8, f64);
    argument!(bool, Bool, bool);
    argument!(numeric, Numeric, Numeric);
    argument!(text, Text, std::sync::Arc<str>);
    argument!(json, Json, std::sync::Arc<str>);
    argument!(date, Date, i32);
    argument!(time, Time, i64);
    argument!(timestamp, Timestamp, i64);
    argument!(timestamptz, Timestamptz, i64);
    argument!(interval, Interval, dt::Interval);

    fn jsonb(&self, at: usize) -> Json {
        match &self.0[at].0 {
            Value::Jsonb(text) => Json::parse(text).expect("its normal form"),
            other => panic!("{other:?}"),
        }
    }

    fn path(&self, at: usize) -> Vec<Option<&str>> {
        let Value::Array(steps) = &self.0[at].0 else { panic!("{:?}", self.0[at]) };
        steps.iter().map(|step| if let Value::Text(text) = step { Some(text.as_ref()) } else { None }).collect()
    }
}

fn number(value: SqlResult<Numeric>) -> SqlResult<String> {
    value.map(|value| value.print())
}

fn span(value: SqlResult<dt::Interval>) -> SqlResult<String> {
    value.map(|value| dt::print_interval(&value, IntervalStyle::Postgres))
}

fn local(value: SqlResult<i64>) -> SqlResult<String> {
    value.map(dt::print_timestamp)
}

fn instant(value: SqlResult<i64>) -> SqlResult<String> {
    value.map(|value| dt::print_timestamptz(value, &env().zone))
}

fn or_null(value: Option<String>) -> SqlResult<String> {
    Ok(value.unwrap_or_else(|| "NULL".to_owned()))
}

fn truth(value: bool) -> SqlResult<String> {
    Ok(if value { "t" } else { "f" }.to_owned())
}

fn printed(value: Option<&Json>) -> SqlResult<String> {
    or_null(value.map(Json::print))
}

fn order(order: Ordering) -> SqlResult<String> {
    Ok((order as i32).to_string())
}

fn call(name: &str, args: &Arguments) -> SqlResult<String> {
    if name.starts_with("json") || name == "to_json" {
        return call_json(name, args);
    }
    if matches!(args.0[0].0, Value::Numeric(_)) && name != "cmp" && name != "send" {
        return call_numeric(name, args);
    }
    let zone = env().zone;
    match name {
        "cmp" => {
            let plain = |at: usize| match &args.0[at] {
                (Value::Text(text), SqlType::Char(_)) => Value::text(trim_char(text)),
                (value, _) => value.clone(),
            };
            order(compare(&plain(0), &plain(1)))
        }
        "send" => {
            let mut bytes = Vec::new();
            encode_binary(&args.0[0].0, &args.0[0].1, &mut bytes)?;
            Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
        }
        "factorial" => number(Numeric::factorial(args.long(0))),
        "date_add" => dt::add_days(args.date(0), args.int(1)).map(dt::print_date),
        "date_sub" => dt::subtract_dates(args.date(0), args.date(1)).map(|days| days.to_string()),
        "timestamp_add" => local(dt::add_interval(args.timestamp(0), &args.interval(1))),
        "timestamp_sub_interval" => local(dt::subtract_interval(args.timestamp(0), &args.interval(1))),
        "timestamptz_add" => instant(dt::add_interval_tz(args.timestamptz(0), &args.interval(1), &zone)),
        "timestamp_sub" => span(dt::subtract_timestamps(args.timestamp(0), args.timestamp(1))),
        "timestamptz_sub" => span(dt::subtract_timestamps(args.timestamptz(0), args.timestamptz(1))),
        "time_add" => Ok(dt::print_time(dt::add_interval_to_time(args.time(0), &args.interval(1)))),
        "age" => span(dt::age(args.timestamp(0), args.timestamp(1))),
        "age_tz" => span(dt::age_tz(args.timestamptz(0), args.timestamptz(1), &zone)),
        "interval_mul" => span(args.interval(0).mul(args.float(1))),
        "interval_div" => span(args.interval(0).div(args.float(1))),
        "interval_add" => span(args.interval(0).add(&args.interval(1))),
        "interval_sub" => span(args.interval(0).sub(&args.interval(1))),
        "interval_neg" => span(args.interval(0).neg()),
        "justify_hours" => span(args.interval(0).justify_hours()),
        "justify_days" => span(args.interval(0).justify_days()),
        "justify_interval" => span(args.interval(0).justify_interval()),
        "extract" | "date_part" => {
            let source = match args.0[1].0 {
                Value::Date(date) => Source::Date(date),
                Value::Time(time) => Source::Time(time),
                Value::Timestamp(at) => Source::Timestamp(at),
                Value::Timestamptz(at) => Source::Timestamptz(at, &zone),
                _ => Source::Interval(args.interval(1)),
            };
            if name == "extract" {
                return or_null(dt::extract(&args.text(0), source)?.map(|value| value.print()));
            }
            let part = dt::date_part(&args.text(0), source)?;
            or_null(part.map(|value| print(&Value::Float8(value), &SqlType::Float8, &env())))
        }
        "date_trunc" => match args.0[1].0 {
            Value::Timestamp(at) => local(dt::truncate(&args.text(0), at)),
            Value::Timestamptz(at) => instant(dt::truncate_tz(&args.text(0), at, &zone)),
            _ => span(dt::truncate_interval(&args.text(0), &args.interval(1))),
        },
        "date_trunc_zone" => instant(dt::truncate_at_zone(&args.text(0), args.timestamptz(1), &args.text(2))),
        "date_bin" => local(dt::date_bin(&args.interval(0), args.timestamp(1), args.timestamp(2))),
        "make_date" => dt::make_date(args.int(0), args.int(1), args.int(2)).map(dt::print_date),
        "make_time" => dt::make_time(args.int(0), args.int(1), args.float(2)).map(dt::print_time),
        "make_timestamp" => {
            let [year, month, day, hour, minute] = [0, 1, 2, 3, 4].map(|at| args.int(at));
            local(dt::make_timestamp(year, month, day, hour, minute, args.float(5)))
        }
        "make_interval" => span(dt::make_interval([0, 1, 2, 3, 4, 5].map(|at| args.int(at)), args.float(6))),
        "to_timestamp" => instant(dt::to_timestamp(args.float(0))),
        "at_zone" => match args.0[0].0 {
            Value::Timestamp(at) => instant(dt::local_at_zone(at, &args.text(1))),
            _ => local(dt::instant_at_zone(args.timestamptz(0), &args.text(1))),
        },
        _ => panic!("no function {name}"),
    }
}

fn call_numeric(name: &str, args: &Arguments) -> SqlResult<String> {
    let a = args.numeric(0);
    let b = || args.numeric(1);
    match name {
        "add" => number(a.add(&b())),
        "sub" => number(a.sub(&b())),
        "mul" => number(a.mul(&b())),
        "div" => number(a.div(&b())),
        "rem" => number(a.rem(&b())),
        "div_trunc" => number(a.div_trunc(&b())),
        "round" => number(a.round(args.int(1))),
        "trunc" => number(a.trunc(args.int(1))),
        "ceil" => number(a.ceil()),
        "floor" => number(a.floor()),
        "sign" => Ok(a.sign().print()),
        "abs" => Ok(a.abs().print()),
        "sqrt" => number(a.sqrt()),
        "exp" => number(a.exp()),
        "ln" => number(a.ln()),
        "log" => number(b().log(&a)),
        "power" => number(a.power(&b())),
        "gcd" => number(a.gcd(&b())),
        "lcm" => number(a.lcm(&b())),
        "min_scale" => or_null(a.min_scale().map(|scale| scale.to_string())),
        "scale" => or_null(a.scale().map(|scale| scale.to_string())),
        "trim_scale" => number(a.trim_scale()),
        _ => panic!("no function {name}"),
    }
}

fn call_json(name: &str, args: &Arguments) -> SqlResult<String> {
    match name {
        "jsonb_get" => printed(args.jsonb(0).member(&args.text(1))),
        "jsonb_get_text" => or_null(args.jsonb(0).member(&args.text(1)).and_then(Json::as_text)),
        "jsonb_element" => printed(args.jsonb(0).element(args.int(1))),
        "jsonb_path" | "jsonb_path_text" => {
            let json = args.jsonb(0);
            let path: Vec<&str> = args.path(1).into_iter().flatten().collect();
            let found = json.at_path(&path);
            if name == "jsonb_path" { printed(found) } else { or_null(found.and_then(Json::as_text)) }
        }
        "jsonb_contains" => truth(args.jsonb(0).contains(&args.jsonb(1))),
        "jsonb_exists" => truth(args.jsonb(0).has(&args.text(1))),
        "jsonb_concat" => Ok(args.jsonb(0).concat(args.jsonb(1)).print()),
        "jsonb_delete" => args.jsonb(0).without(&[&args.text(1)]).map(|json| json.print()),
        "jsonb_delete_index" => args.jsonb(0).without_element(args.int(1)).map(|json| json.print()),
        "jsonb_delete_path" => args.jsonb(0).without_path(&args.path(1)).map(|json| json.print()),
        "jsonb_set" => args.jsonb(0).set(&args.path(1), &args.jsonb(2), args.bool(3)).map(|json| json.print()),
        "jsonb_insert" => args.jsonb(0).insert(&args.path(1), &args.jsonb(2), args.bool(3)).map(|json| json.print()),
        "jsonb_cmp" => order(args.jsonb(0).compare(&args.jsonb(1))),
        "jsonb_pretty" => Ok(args.jsonb(0).pretty()),
        "jsonb_typeof" => Ok(args.jsonb(0).type_name().to_owned()),
        "jsonb_strip_nulls" => Ok(args.jsonb(0).strip_nulls().print()),
        "json_get" => or_null(json::parse(&args.json(0))?.member(&args.text(1)).map(|node| node.text.to_owned())),
        "json_get_text" => {
            let text = args.json(0);
            let node = json::parse(&text)?;
            or_null(node.member(&args.text(1)).and_then(|node| node.as_text().map(str::to_owned)))
        }
        "json_element" => or_null(json::parse(&args.json(0))?.element(args.int(1)).map(|node| node.text.to_owned())),
        "json_path" => {
            let text = args.json(0);
            let root = json::parse(&text)?;
            let found = args.path(1).into_iter().flatten().try_fold(&root, |node, step| node.step(step));
            or_null(found.map(|node| node.text.to_owned()))
        }
        "to_json" => Ok(json::to_json(&args.0[0].0, &args.0[0].1, &env())),
        _ => panic!("no function {name}"),
    }
}

/// Text that looks like values: words, digits and punctuation of all types.
fn text_like_values() -> impl proptest::strategy::Strategy<Value = String> {
    let word = "[0-9]{1,8}|[-+:./ ,{}\\[\\]\"\\\\Tt]|jan|bc|pm|z|utc|epoch|day|mon|ago|P|null|true|e|nan|inf|\\PC";
    proptest::collection::vec(word, 0..12).prop_map(|words| words.concat())
}

proptest::proptest! {
    /// No text makes the readers panic, and what they read is printed as text that means the same value.
    #[test]
    fn what_is_read_is_printed_and_read_again(text in text_like_values()) {
        for name in [
            "int", "float4", "float8", "numeric", "numeric(6,2)", "bool", "bytea", "uuid", "date", "time", "timestamp",
            "timestamptz", "interval", "inet", "cidr", "json", "jsonb", "int[]", "text[]", "varchar(4)", "char(4)",
        ] {
            let Ok((first, ty)) = value(name, &text) else { continue };
            let printed = print(&first, &ty, &env());
            let (second, _) = value(name, &printed).unwrap();
            proptest::prop_assert_eq!(print(&second, &ty, &env()), printed, "{} {}", name, text);
        }
    }
}
