//! What drivers and `psql` ask about the catalog.

use annulus_relation::{SqlResult, SqlType, Value};

use super::super::super::objects;
use super::super::super::registry::{Entry, Site, entry};
use super::super::args::{int4, integer, numeric, oid, string, text};
use super::session::asked;

pub(in super::super) const TABLE: &[Entry] = &[
    entry("format_type(oid,int4) text", format_type).stable().lenient(),
    entry("pg_table_is_visible(oid) bool", asked).stable(),
    entry("pg_type_is_visible(oid) bool", asked).stable(),
    entry("pg_function_is_visible(oid) bool", asked).stable(),
    entry("pg_operator_is_visible(oid) bool", asked).stable(),
    entry("pg_opclass_is_visible(oid) bool", asked).stable(),
    entry("pg_opfamily_is_visible(oid) bool", asked).stable(),
    entry("pg_collation_is_visible(oid) bool", asked).stable(),
    entry("pg_conversion_is_visible(oid) bool", asked).stable(),
    entry("pg_statistics_obj_is_visible(oid) bool", asked).stable(),
    entry("pg_ts_config_is_visible(oid) bool", asked).stable(),
    entry("obj_description(oid,name) text", asked).stable(),
    entry("obj_description(oid) text", asked).stable(),
    entry("col_description(oid,int4) text", asked).stable(),
    entry("shobj_description(oid,name) text", asked).stable(),
    entry("pg_get_expr(text,oid) text", asked).stable(),
    entry("pg_get_expr(text,oid,bool) text", asked).stable(),
    entry("pg_get_indexdef(oid) text", asked).stable(),
    entry("pg_get_indexdef(oid,int4,bool) text", asked).stable(),
    entry("pg_get_constraintdef(oid) text", asked).stable(),
    entry("pg_get_constraintdef(oid,bool) text", asked).stable(),
    entry("pg_get_viewdef(text) text", asked).stable(),
    entry("pg_get_viewdef(text,bool) text", asked).stable(),
    entry("pg_get_viewdef(oid) text", asked).stable(),
    entry("pg_get_viewdef(oid,bool) text", asked).stable(),
    entry("pg_get_viewdef(oid,int4) text", asked).stable(),
    entry("pg_get_ruledef(oid) text", asked).stable(),
    entry("pg_get_ruledef(oid,bool) text", asked).stable(),
    entry("pg_get_triggerdef(oid) text", asked).stable(),
    entry("pg_get_triggerdef(oid,bool) text", asked).stable(),
    entry("pg_get_functiondef(oid) text", asked).stable(),
    entry("pg_get_function_arguments(oid) text", asked).stable(),
    entry("pg_get_function_identity_arguments(oid) text", asked).stable(),
    entry("pg_get_function_result(oid) text", asked).stable(),
    entry("pg_get_function_sqlbody(oid) text", asked).stable(),
    entry("pg_get_partkeydef(oid) text", asked).stable(),
    entry("pg_get_statisticsobjdef_columns(oid) text", asked).stable(),
    entry("pg_get_serial_sequence(text,text) text", asked).stable(),
    entry("pg_get_userbyid(oid) name", asked).stable(),
    entry("acldefault(char,oid) text[]", asked).stable(),
    entry("pg_relation_size(regclass) int8", asked).volatile(),
    entry("pg_relation_size(regclass,text) int8", asked).volatile(),
    entry("pg_total_relation_size(regclass) int8", asked).volatile(),
    entry("pg_table_size(regclass) int8", asked).volatile(),
    entry("pg_indexes_size(regclass) int8", asked).volatile(),
    entry("pg_database_size(oid) int8", asked).volatile(),
    entry("pg_database_size(name) int8", asked).volatile(),
    entry("pg_tablespace_size(name) int8", asked).volatile(),
    entry("pg_tablespace_location(oid) text", |_, _| string("")).stable(),
    entry("pg_relation_is_publishable(regclass) bool", |_, _| Ok(Value::Bool(false))).stable(),
    entry("pg_is_other_temp_schema(oid) bool", asked).stable(),
    entry("pg_encoding_to_char(int4) name", |_, a| string(if int4(a, 0)? == UTF8 { "UTF8" } else { "" })).stable(),
    entry("pg_char_to_encoding(name) int4", |_, a| {
        Ok(Value::Int4(if text(a, 0)?.eq_ignore_ascii_case("utf8") { UTF8 } else { -1 }))
    })
    .stable(),
    entry("pg_size_pretty(int8) text", |_, a| pretty(integer(a, 0)?)),
    entry("pg_size_pretty(numeric) text", |_, a| pretty(numeric(a, 0)?.to_i64()?)),
    entry("to_regclass(text) regclass", |s, a| object(s, &SqlType::Regclass, a)).stable(),
    entry("to_regtype(text) regtype", |s, a| object(s, &SqlType::Regtype, a)).stable(),
    entry("has_any_column_privilege(any,any) bool", yes).stable(),
    entry("has_any_column_privilege(any,any,any) bool", yes).stable(),
    entry("has_column_privilege(any,any,any) bool", yes).stable(),
    entry("has_column_privilege(any,any,any,any) bool", yes).stable(),
    entry("has_database_privilege(any,any) bool", yes).stable(),
    entry("has_database_privilege(any,any,any) bool", yes).stable(),
    entry("has_function_privilege(any,any) bool", yes).stable(),
    entry("has_function_privilege(any,any,any) bool", yes).stable(),
    entry("has_schema_privilege(any,any) bool", yes).stable(),
    entry("has_schema_privilege(any,any,any) bool", yes).stable(),
    entry("has_sequence_privilege(any,any) bool", yes).stable(),
    entry("has_sequence_privilege(any,any,any) bool", yes).stable(),
    entry("has_table_privilege(any,any) bool", yes).stable(),
    entry("has_table_privilege(any,any,any) bool", yes).stable(),
    entry("has_tablespace_privilege(any,any) bool", yes).stable(),
    entry("has_tablespace_privilege(any,any,any) bool", yes).stable(),
    entry("has_type_privilege(any,any) bool", yes).stable(),
    entry("has_type_privilege(any,any,any) bool", yes).stable(),
    entry("pg_has_role(any,any) bool", yes).stable(),
    entry("pg_has_role(any,any,any) bool", yes).stable(),
];

/// The number of the encoding UTF8.
const UTF8: i32 = 6;

/// There is one role, which may do everything.
fn yes(_: &Site<'_>, _: &[Value]) -> SqlResult<Value> {
    Ok(Value::Bool(true))
}

fn format_type(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    if args[0].is_null() {
        return Ok(Value::Null);
    }
    let number = oid(args, 0)?;
    let ty = match args[1] {
        Value::Null => SqlType::from_oid(number),
        _ => SqlType::from_oid_typmod(number, int4(args, 1)?),
    };
    let made = || site.cx.env.types.numbered(number).map(|ty| objects::shown_type(&ty, &site.cx.env.types));
    let name = ty.map(|ty| ty.name()).or_else(made).or_else(|| site.cx.session.object_name(&SqlType::Regtype, number));
    string(if number == 0 { "-".into() } else { name.unwrap_or_else(|| "???".into()) })
}

/// The object of a name, or NULL if there is none.
fn object(site: &Site<'_>, ty: &SqlType, args: &[Value]) -> SqlResult<Value> {
    match objects::object(text(args, 0)?, ty, site.cx) {
        Err(error) if matches!(error.state().0, "42P01" | "42704" | "3F000" | "42883" | "0A000") => Ok(Value::Null),
        other => other,
    }
}

/// A number of bytes for people: in the largest unit that leaves more than ten.
fn pretty(bytes: i64) -> SqlResult<Value> {
    const LIMIT: u64 = 10 * 1024;
    let sign = if bytes < 0 { "-" } else { "" };
    let size = bytes.unsigned_abs();
    if size < LIMIT {
        return string(format!("{bytes} bytes"));
    }
    // All but one of the bits that a unit is worth are dropped; the last one rounds.
    let mut halves = size >> 9;
    for unit in ["kB", "MB", "GB", "TB"] {
        if halves < 2 * LIMIT - 1 {
            return string(format!("{sign}{} {unit}", halves.div_ceil(2)));
        }
        halves >>= 10;
    }
    string(format!("{sign}{} PB", halves.div_ceil(2)))
}
