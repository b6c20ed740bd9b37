//! `jsonpath` at work: `@?`, `@@`, `jsonb_path_query` and its kin.
//!
//! Promises and invariants:
//! - Arithmetic is exact, as that of `numeric`.
//! - Errors are PostgreSQL's, and are passed over where it passes them over: in predicates, by the operators, and if
//!   `silent` says so. Others, as of a variable that is not there, never are.
//! - How deep an evaluation recurses, how many steps it takes and how much it finds is bounded, so that no path occupies
//!   a node.
//!
//! Source: PostgreSQL 15, `jsonpath_exec.c`.

mod datetime;
mod evaluate;
mod inside;
mod item;
mod layout;
mod methods;
mod numbers;
mod predicates;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use annulus_relation::value::Env;
use annulus_relation::value::json::Json;
use annulus_relation::value::json::path::JsonPath;
use annulus_relation::{SqlError, SqlResult, SqlState, Value};

use self::evaluate::{Evaluation, Failure};
use self::item::Item;
use super::super::super::registry::{Entry, Site, entry};
use super::super::args::{boolean, text};
use super::super::recent::Recent;

/// The functions' parameters by name, with the defaults of the last two.
pub(in super::super::super) const PARAMETERS: [&str; 4] = ["target", "path", "vars", "silent"];

macro_rules! functions {
    ($($name:literal $ty:literal $body:expr;)*) => {
        pub(in super::super) const TABLE: &[Entry] = &[
            entry("@?(jsonb,jsonpath) bool", |site, a| exists(&call(site, a, false)?)),
            entry("@@(jsonb,jsonpath) bool", |site, a| matches(&call(site, a, false)?)),
            $(
                entry(concat!($name, "(jsonb,jsonpath) ", $ty), |site, a| $body(&call(site, a, false)?)),
                entry(concat!($name, "(jsonb,jsonpath,jsonb) ", $ty), |site, a| $body(&call(site, a, false)?)),
                entry(concat!($name, "(jsonb,jsonpath,jsonb,bool) ", $ty), |site, a| $body(&call(site, a, false)?)),
                entry(concat!($name, "_tz(jsonb,jsonpath) ", $ty), |site, a| $body(&call(site, a, true)?)).stable(),
                entry(concat!($name, "_tz(jsonb,jsonpath,jsonb) ", $ty), |site, a| $body(&call(site, a, true)?)).stable(),
                entry(concat!($name, "_tz(jsonb,jsonpath,jsonb,bool) ", $ty), |site, a| $body(&call(site, a, true)?)).stable(),
            )*
        ];
    };
}

functions! {
    "jsonb_path_exists" "bool" exists;
    "jsonb_path_match" "bool" matches;
    "jsonb_path_query_array" "jsonb" array;
    "jsonb_path_query_first" "jsonb" first;
}

/// A call: its arguments, and how errors are told.
struct Called<'a> {
    path: Rc<JsonPath>,
    document: Json,
    vars: Option<Json>,
    silent: bool,
    zoned: bool,
    env: &'a Env,
}

fn call<'a>(site: &'a Site<'a>, args: &[Value], zoned: bool) -> SqlResult<Called<'a>> {
    let called = called(args, zoned, site.cx.env)?;
    Ok(match site.name() {
        // The operators have no variables, and then each of them is null.
        "@?" | "@@" => Called { silent: true, vars: None, ..called },
        _ => called,
    })
}

fn silent(args: &[Value]) -> SqlResult<bool> {
    if args.len() > 3 { boolean(args, 3) } else { Ok(false) }
}

fn called<'a>(args: &[Value], zoned: bool, env: &'a Env) -> SqlResult<Called<'a>> {
    let vars = match args.len() {
        2 => Some(Json::Object(Vec::new())),
        _ => Some(Json::parse(text(args, 2)?)?),
    };
    Ok(Called {
        document: Json::parse(text(args, 0)?)?,
        path: compiled(text(args, 1)?)?,
        vars,
        silent: silent(args)?,
        zoned,
        env,
    })
}

thread_local! {
    static RECENT: Recent<String, JsonPath> = const { Recent::new() };
}

/// The path of a text, from the thread's cache if it is there.
fn compiled(text: &str) -> SqlResult<Rc<JsonPath>> {
    RECENT.with(|recent| recent.get(|known| known == text, || Ok((text.to_owned(), JsonPath::parse(text)?))))
}

impl Called<'_> {
    fn evaluation(&self) -> SqlResult<Evaluation<'_>> {
        if self.vars.as_ref().is_some_and(|vars| !matches!(vars, Json::Object(_))) {
            let error = SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "\"vars\" argument is not an object");
            return Err(error.detail("Jsonpath parameters should be encoded as key-value pairs of \"vars\" object."));
        }
        Ok(Evaluation::new(&self.path, &self.document, self.vars.as_ref(), self.zoned, self.env))
    }

    /// What was found; what was found before an error if that is passed over.
    fn found(&self) -> SqlResult<Vec<Item>> {
        let mut found = Vec::new();
        match self.evaluation()?.all(&self.path.expr, &mut found) {
            Ok(()) => Ok(found),
            Err(Failure::Soft(_)) if self.silent => Ok(found),
            Err(Failure::Soft(error) | Failure::Hard(error)) => Err(error),
        }
    }
}

/// `jsonb_path_query`: what was found.
pub(crate) fn query(args: &[Value], zoned: bool, env: &Env) -> SqlResult<Vec<Value>> {
    let found = called(args, zoned, env)?.found()?;
    Ok(found.into_iter().map(|item| item.into_json().into_value()).collect())
}

fn exists(called: &Called<'_>) -> SqlResult<Value> {
    match called.evaluation()?.exists(&called.path.expr) {
        Ok(found) => Ok(Value::Bool(found)),
        Err(Failure::Soft(_)) if called.silent => Ok(Value::Null),
        Err(Failure::Soft(error) | Failure::Hard(error)) => Err(error),
    }
}

fn matches(called: &Called<'_>) -> SqlResult<Value> {
    match called.found()?.as_slice() {
        [Item::Json(Json::Bool(value))] => Ok(Value::Bool(*value)),
        [Item::Json(Json::Null)] => Ok(Value::Null),
        _ if called.silent => Ok(Value::Null),
        _ => Err(SqlError::new(SqlState::SINGLETON_JSON_ITEM_REQUIRED, "single boolean result is expected")),
    }
}

fn array(called: &Called<'_>) -> SqlResult<Value> {
    let found = called.found()?.into_iter().map(Item::into_json);
    Ok(Json::Array(found.collect()).into_value())
}

fn first(called: &Called<'_>) -> SqlResult<Value> {
    let first = called.found()?.into_iter().next();
    Ok(first.map_or(Value::Null, |item| item.into_json().into_value()))
}
