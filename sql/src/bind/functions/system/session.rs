//! The session: who, where, settings, sequences.

use annulus_relation::{SqlError, SqlResult, SqlState, Value};

use super::super::super::context::Constant;
use super::super::super::registry::{Entry, Site, entry};
use super::super::args::{boolean, int8, oid, string, text};

pub(in super::super) const TABLE: &[Entry] = &[
    entry("current_user() name", |s, _| string(s.cx.session.fact(Constant::CurrentUser))).stable(),
    entry("current_role() name", |s, _| string(s.cx.session.fact(Constant::CurrentUser))).stable(),
    entry("user() name", |s, _| string(s.cx.session.fact(Constant::CurrentUser))).stable(),
    entry("session_user() name", |s, _| string(s.cx.session.fact(Constant::SessionUser))).stable(),
    entry("current_database() name", |s, _| string(s.cx.session.fact(Constant::CurrentDatabase))).stable(),
    entry("current_catalog() name", |s, _| string(s.cx.session.fact(Constant::CurrentDatabase))).stable(),
    entry("version() text", |s, _| string(s.cx.session.fact(Constant::Version))).stable(),
    entry("current_schema() name", |s, _| {
        Ok(s.cx.session.search_path(false).into_iter().next().map_or(Value::Null, Value::text))
    })
    .stable(),
    entry("current_schemas(bool) name[]", |s, a| {
        let path = s.cx.session.search_path(boolean(a, 0)?);
        Ok(Value::Array(path.into_iter().map(Value::text).collect()))
    })
    .stable(),
    entry("pg_backend_pid() int4", |s, _| Ok(Value::Int4(s.cx.session.backend_pid()))).stable(),
    entry("current_setting(text) text", current_setting).stable(),
    entry("current_setting(text,bool) text", current_setting).stable(),
    entry("set_config(text,text,bool) text", |s, a| {
        string(s.cx.session.set_config(text(a, 0)?, text(a, 1)?, boolean(a, 2)?)?)
    })
    .volatile(),
    entry("nextval(regclass) int8", |s, a| s.cx.session.nextval(oid(a, 0)?).map(Value::Int8)).volatile(),
    entry("currval(regclass) int8", |s, a| s.cx.session.currval(oid(a, 0)?).map(Value::Int8)).volatile(),
    entry("lastval() int8", |s, _| s.cx.session.lastval().map(Value::Int8)).volatile(),
    entry("setval(regclass,int8) int8", |s, a| s.cx.session.setval(oid(a, 0)?, int8(a, 1)?, true).map(Value::Int8))
        .volatile(),
    entry("setval(regclass,int8,bool) int8", |s, a| {
        s.cx.session.setval(oid(a, 0)?, int8(a, 1)?, boolean(a, 2)?).map(Value::Int8)
    })
    .volatile(),
    entry("getdatabaseencoding() name", |_, _| string("UTF8")).stable(),
    entry("pg_client_encoding() name", |s, _| {
        Ok(s.cx.session.setting("client_encoding").map_or(Value::Null, Value::text))
    })
    .stable(),
    entry("pg_is_in_recovery() bool", |_, _| Ok(Value::Bool(false))).stable(),
    entry("pg_my_temp_schema() oid", asked).stable(),
    entry("pg_sleep(float8) void", asked).volatile(),
    entry("pg_notify(text,text) void", asked).volatile(),
    entry("pg_cancel_backend(int4) bool", asked).volatile(),
    entry("pg_terminate_backend(int4) bool", asked).volatile(),
    entry("pg_terminate_backend(int4,int8) bool", asked).volatile(),
    entry("pg_postmaster_start_time() timestamptz", asked).stable(),
    entry("txid_current() int8", asked).stable(),
    entry("txid_current_if_assigned() int8", asked).stable(),
    entry("pg_advisory_lock(int8) void", asked).volatile(),
    entry("pg_try_advisory_lock(int8) bool", asked).volatile(),
    entry("pg_advisory_unlock(int8) bool", asked).volatile(),
    // Nobody holds any.
    entry("pg_advisory_unlock_all() void", |_, _| string("")).volatile(),
    entry("pg_advisory_xact_lock(int8) void", asked).volatile(),
    entry("pg_try_advisory_xact_lock(int8) bool", asked).volatile(),
    entry("annulus.outcome(text) text", asked).volatile(),
    entry("annulus.token_outcome(text) text", asked).volatile(),
    entry("annulus.transaction_id() text", asked).stable(),
    entry("annulus.node_id() text", asked).stable(),
];

/// The session answers it.
pub(super) fn asked(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    site.cx.session.call(site.name(), args)
}

fn current_setting(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let name = text(args, 0)?;
    let optional = args.len() > 1 && boolean(args, 1)?;
    match site.cx.session.setting(name) {
        Some(value) => string(value),
        None if optional => Ok(Value::Null),
        None => {
            let message = format!("unrecognized configuration parameter \"{name}\"");
            Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message))
        }
    }
}
