//! Addresses and networks.

use annulus_relation::value::Inet;
use annulus_relation::{SqlResult, Value};

use super::super::registry::{Entry, Site, entry};
use super::args::{inet, int4, int8};

pub(super) const TABLE: &[Entry] = &[
    entry("host(inet) text", |_, args| Ok(Value::text(inet(args, 0)?.host()))),
    entry("abbrev(inet) text", |_, args| Ok(Value::text(inet(args, 0)?.print()))),
    entry("abbrev(cidr) text", |_, args| Ok(Value::text(inet(args, 0)?.abbreviated()))),
    entry("family(inet) int4", |_, args| Ok(Value::Int4(inet(args, 0)?.family()))),
    entry("masklen(inet) int4", |_, args| Ok(Value::Int4(inet(args, 0)?.bits().into()))),
    entry("netmask(inet) inet", |_, args| Ok(Value::Inet(inet(args, 0)?.netmask()))),
    entry("hostmask(inet) inet", |_, args| Ok(Value::Inet(inet(args, 0)?.hostmask()))),
    entry("broadcast(inet) inet", |_, args| Ok(Value::Inet(inet(args, 0)?.broadcast()))),
    entry("network(inet) cidr", |_, args| Ok(Value::Inet(inet(args, 0)?.network()))),
    entry("set_masklen(inet,int4) inet", set_masklen),
    entry("set_masklen(cidr,int4) cidr", set_masklen_of_network),
    entry("inet_same_family(inet,inet) bool", |_, args| compared(args, Inet::is_same_family)),
    entry("inet_merge(inet,inet) cidr", |_, args| combined(args, Inet::merge)),
    entry("<<(inet,inet) bool", |_, args| compared(args, |inner, outer| outer.contains_smaller(inner))),
    entry("<<=(inet,inet) bool", |_, args| compared(args, |inner, outer| outer.contains(inner))),
    entry(">>(inet,inet) bool", |_, args| compared(args, Inet::contains_smaller)),
    entry(">>=(inet,inet) bool", |_, args| compared(args, Inet::contains)),
    entry("&&(inet,inet) bool", |_, args| compared(args, Inet::overlaps)),
    entry("~(inet) inet", |_, args| Ok(Value::Inet(inet(args, 0)?.complement()))),
    entry("&(inet,inet) inet", |_, args| combined(args, Inet::and)),
    entry("|(inet,inet) inet", |_, args| combined(args, Inet::or)),
    entry("+(inet,int8) inet", |_, args| Ok(Value::Inet(inet(args, 0)?.plus(int8(args, 1)?.into())?))),
    entry("+(int8,inet) inet", |_, args| Ok(Value::Inet(inet(args, 1)?.plus(int8(args, 0)?.into())?))),
    entry("-(inet,int8) inet", |_, args| Ok(Value::Inet(inet(args, 0)?.plus(-i128::from(int8(args, 1)?))?))),
    entry("-(inet,inet) int8", |_, args| Ok(Value::Int8(inet(args, 0)?.minus(&inet(args, 1)?)?))),
];

fn set_masklen(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    Ok(Value::Inet(inet(args, 0)?.with_bits(int4(args, 1)?)?))
}

fn set_masklen_of_network(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    Ok(Value::Inet(inet(args, 0)?.with_bits(int4(args, 1)?)?.network()))
}

fn compared(args: &[Value], holds: impl Fn(&Inet, &Inet) -> bool) -> SqlResult<Value> {
    Ok(Value::Bool(holds(&inet(args, 0)?, &inet(args, 1)?)))
}

fn combined(args: &[Value], combine: impl Fn(&Inet, &Inet) -> SqlResult<Inet>) -> SqlResult<Value> {
    Ok(Value::Inet(combine(&inet(args, 0)?, &inet(args, 1)?)?))
}
