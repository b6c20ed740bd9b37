//! Types and values for property tests.

use std::net::IpAddr;
use std::sync::Arc;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use bytes::Bytes;
use proptest::prelude::*;

use crate::value::{EnumType, Inet, Interval, Numeric, SqlType, Value};

/// Types of columns, arrays among them.
pub(crate) fn types() -> impl Strategy<Value = SqlType> {
    let scalar = prop::sample::select(vec![
        SqlType::Bool,
        SqlType::Int2,
        SqlType::Int4,
        SqlType::Int8,
        SqlType::Float4,
        SqlType::Float8,
        SqlType::Numeric(None),
        SqlType::Text,
        SqlType::Bytea,
        SqlType::Date,
        SqlType::Time(None),
        SqlType::Timestamp(None),
        SqlType::Timestamp(Some(3)),
        SqlType::Timestamptz(None),
        SqlType::Interval(None),
        SqlType::Uuid,
        SqlType::Inet,
        SqlType::Cidr,
        SqlType::Oid,
        SqlType::Enum(EnumType::unknown(16_384)),
    ]);
    scalar.prop_flat_map(|ty| prop_oneof![5 => Just(ty.clone()), 1 => Just(SqlType::Array(Box::new(ty)))])
}

/// Values of a type that are not NULL; small ones often, so that equal ones meet.
pub(crate) fn values(ty: &SqlType) -> BoxedStrategy<Value> {
    let long = || prop_oneof![-3_i64..3, any::<i64>(), Just(i64::MIN), Just(i64::MAX)];
    let int = || prop_oneof![-3_i32..3, any::<i32>(), Just(i32::MIN), Just(i32::MAX)];
    match ty {
        SqlType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        SqlType::Int2 => any::<i16>().prop_map(Value::Int2).boxed(),
        SqlType::Int4 => int().prop_map(Value::Int4).boxed(),
        SqlType::Int8 => long().prop_map(Value::Int8).boxed(),
        SqlType::Enum(_) => long().prop_map(Value::Enum).boxed(),
        SqlType::Float4 => {
            prop_oneof![Just(-0.0), Just(0.0), Just(f32::NAN), any::<f32>()].prop_map(Value::Float4).boxed()
        }
        SqlType::Float8 => {
            prop_oneof![Just(-0.0), Just(0.0), Just(f64::NAN), any::<f64>()].prop_map(Value::Float8).boxed()
        }
        SqlType::Numeric(_) => numerics().prop_map(Value::Numeric).boxed(),
        SqlType::Text => "[a-c\\x00é]{0,4}|.{0,20}".prop_map(Value::text).boxed(),
        SqlType::Bytea => prop::collection::vec(prop_oneof![Just(0_u8), Just(0xff), any::<u8>()], 0..12)
            .prop_map(|bytes| Value::Bytea(Bytes::from(bytes)))
            .boxed(),
        SqlType::Date => int().prop_map(Value::Date).boxed(),
        SqlType::Time(_) => (0..=86_400_000_000_i64).prop_map(Value::Time).boxed(),
        SqlType::Timestamp(_) => long().prop_map(Value::Timestamp).boxed(),
        SqlType::Timestamptz(_) => long().prop_map(Value::Timestamptz).boxed(),
        SqlType::Interval(_) => (int(), int(), long())
            .prop_map(|(months, days, micros)| Value::Interval(Interval { months, days, micros }))
            .boxed(),
        SqlType::Uuid => any::<[u8; 16]>().prop_map(Value::Uuid).boxed(),
        SqlType::Inet => inets().prop_map(Value::Inet).boxed(),
        SqlType::Cidr => inets().prop_map(|inet| Value::Inet(inet.network())).boxed(),
        SqlType::Array(element) => prop::collection::vec(nullable(element), 0..4)
            .prop_map(|elements| Value::Array(Arc::from(elements)))
            .boxed(),
        _ => any::<u32>().prop_map(Value::Oid).boxed(),
    }
}

/// Values of a type, NULL among them.
pub(crate) fn nullable(ty: &SqlType) -> BoxedStrategy<Value> {
    prop_oneof![1 => Just(Value::Null), 6 => values(ty)].boxed()
}

fn numerics() -> impl Strategy<Value = Numeric> {
    let number = |digits: i128, scale: i64| Numeric::Finite(BigDecimal::new(BigInt::from(digits), scale));
    prop_oneof![
        1 => prop::sample::select(vec![Numeric::NaN, Numeric::Infinity, Numeric::NegativeInfinity]),
        4 => (-120_i128..120, 0_i64..4).prop_map(move |(digits, scale)| number(digits, scale)),
        4 => (any::<i128>(), 0_i64..60).prop_map(move |(digits, scale)| number(digits, scale)),
    ]
}

/// Addresses of few bits, so that networks lie within each other, and any.
fn inets() -> impl Strategy<Value = Inet> {
    prop_oneof![
        (prop::sample::select(vec![0_u32, 1, 0x0a00_0000, 0x0a00_0001, 0x0a80_0000]), 0..=32_u8)
            .prop_map(|(address, bits)| (IpAddr::from(address.to_be_bytes()), bits)),
        (any::<[u8; 4]>(), 0..=32_u8).prop_map(|(address, bits)| (IpAddr::from(address), bits)),
        (any::<[u8; 16]>(), 0..=128_u8).prop_map(|(address, bits)| (IpAddr::from(address), bits)),
    ]
    .prop_filter_map("more bits than there are", |(address, bits)| Inet::new(address, bits))
}
