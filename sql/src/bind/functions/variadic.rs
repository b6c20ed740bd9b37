//! `f(VARIADIC array)`: functions of any number of arguments, given them as an array.
//!
//! Each is a function of its own, whose name no call can have: it calls the one of the bare name with the elements.

use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};

use super::super::eval::Types;
use super::super::expr::{Call, Expr};
use super::super::registry::{self, Entry, Function, Site, entry};

pub(super) const TABLE: &[Entry] = &[
    entry("variadic concat(anyarray) text", spread).stable(),
    entry("variadic concat_ws(text,anyarray) text", spread).stable(),
    entry("variadic format(text,anyarray) text", spread).stable().lenient(),
    entry("variadic json_build_array(anyarray) json", spread).stable(),
    entry("variadic jsonb_build_array(anyarray) jsonb", spread).stable(),
    entry("variadic json_build_object(anyarray) json", spread).stable(),
    entry("variadic jsonb_build_object(anyarray) jsonb", spread).stable(),
    entry("variadic json_extract_path(json,text[]) json", spread),
    entry("variadic json_extract_path_text(json,text[]) text", spread),
    entry("variadic jsonb_extract_path(jsonb,text[]) jsonb", spread),
    entry("variadic jsonb_extract_path_text(jsonb,text[]) text", spread),
];

/// What stands before a function's name where its last argument is such an array.
pub(in super::super) const PREFIX: &str = "variadic ";

fn missing(name: &str) -> SqlError {
    SqlError::new(SqlState::INTERNAL_ERROR, format!("there is no function {name} of any number of arguments"))
}

/// The function of the bare name that takes any number of arguments, or none where there are no elements.
fn target(name: &str, count: usize) -> SqlResult<&'static Function> {
    let all = registry::named(name);
    let fits = |function: &&Function| function.params.len() <= count && function.variadic;
    let exact = |function: &&Function| function.params.len() == count && !function.variadic;
    all.iter().find(fits).or_else(|| all.iter().find(exact)).or_else(|| all.first()).ok_or_else(|| missing(name))
}

fn spread(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let name = site.name().strip_prefix(PREFIX).unwrap_or_default();
    let Some((array, before)) = args.split_last() else { return Err(missing(name)) };
    let elements: &[Value] = match array {
        Value::Array(elements) => elements,
        _ => &[],
    };
    let element = site.arg(before.len()).element().unwrap_or(&SqlType::Text);
    let values: Vec<Value> = before.iter().chain(elements).cloned().collect();
    let types = (0..before.len()).map(|place| site.arg(place)).chain(elements.iter().map(|_| element));
    let function = target(name, values.len())?;
    // The values are given beside it: only its arguments' types are asked for.
    let call = Call { function, args: types.map(|ty| Expr::null(ty.clone())).collect(), ty: site.ty.clone() };
    (function.body)(&Site { types: Types::Call(&call), ty: site.ty, cx: site.cx }, &values)
}
