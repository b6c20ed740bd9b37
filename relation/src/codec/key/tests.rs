//! Bytes sort as values do; stored bytes never change.

use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;
use crate::codec::samples::{nullable, types, values};
use crate::value::{Numeric, compare};

const ASCENDING: KeyOrder = KeyOrder { descending: false, nulls_first: false };

fn bytes(value: &Value, order: KeyOrder) -> Vec<u8> {
    let mut out = BytesMut::new();
    put(&mut out, value, order).unwrap();
    out.to_vec()
}

/// What the order of two fields must be.
fn expected(a: &Value, b: &Value, order: KeyOrder) -> Ordering {
    let by_null = if order.nulls_first { Ordering::Less } else { Ordering::Greater };
    match (a.is_null(), b.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) => by_null,
        (false, true) => by_null.reverse(),
        (false, false) if order.descending => compare(b, a),
        (false, false) => compare(a, b),
    }
}

fn orders() -> impl Strategy<Value = KeyOrder> {
    any::<(bool, bool)>().prop_map(|(descending, nulls_first)| KeyOrder { descending, nulls_first })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn bytes_sort_as_values_do(
        (a, b) in types().prop_flat_map(|ty| (nullable(&ty), nullable(&ty))),
        order in orders(),
    ) {
        prop_assert_eq!(bytes(&a, order).cmp(&bytes(&b, order)), expected(&a, &b, order));
    }

    #[test]
    fn fields_of_a_key_sort_one_after_the_other(
        ((a, b), (c, d)) in (types(), types()).prop_flat_map(|(first, second)| {
            ((nullable(&first), nullable(&first)), (nullable(&second), nullable(&second)))
        }),
        first in orders(),
        second in orders(),
    ) {
        let left = [bytes(&a, first), bytes(&c, second)].concat();
        let right = [bytes(&b, first), bytes(&d, second)].concat();
        prop_assert_eq!(left.cmp(&right), expected(&a, &b, first).then(expected(&c, &d, second)));
        prop_assert!(left == right || !left.starts_with(&right));
    }

    #[test]
    fn values_come_back(
        (ty, value) in types().prop_flat_map(|ty| (Just(ty.clone()), nullable(&ty))),
        order in orders(),
        rest in prop::collection::vec(any::<u8>(), 0..5),
    ) {
        let encoded = [bytes(&value, order), rest.clone()].concat();
        let (back, left) = take(&encoded, &ty, order).unwrap();
        prop_assert_eq!(left, &rest[..]);
        prop_assert_eq!(bytes(&back, order), bytes(&value, order));
        prop_assert!(check_type(&back, &ty).is_ok() && check_type(&value, &ty).is_ok());
        if is_exact(&ty) {
            prop_assert_eq!(back, value);
        }
    }

    #[test]
    fn bytes_of_anybody_never_panic(
        ty in types(),
        order in orders(),
        input in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let _ = take(&input, &ty, order);
    }

    #[test]
    fn a_key_is_no_prefix_of_another((a, b) in types().prop_flat_map(|ty| (values(&ty), values(&ty)))) {
        let (a, b) = (bytes(&a, ASCENDING), bytes(&b, ASCENDING));
        prop_assert!(a == b || !a.starts_with(&b));
    }
}

fn numeric(text: &str) -> Value {
    Value::Numeric(Numeric::Finite(text.parse().unwrap()))
}

#[test]
fn equal_values_have_equal_bytes() {
    let equal = [
        (numeric("1.0"), numeric("1.00")),
        (numeric("100"), numeric("100.000")),
        (numeric("0"), numeric("0.00")),
        (Value::Float8(0.0), Value::Float8(-0.0)),
        (Value::Float8(f64::NAN), Value::Float8(-f64::NAN)),
        (
            Value::Interval(Interval { months: 1, days: 0, micros: 0 }),
            Value::Interval(Interval { months: 0, days: 29, micros: 86_400_000_000 }),
        ),
    ];
    for (one, other) in equal {
        assert_eq!(bytes(&one, ASCENDING), bytes(&other, ASCENDING), "{one:?} {other:?}");
    }
}

#[test]
fn numerics_of_all_magnitudes_sort() {
    let tiny = format!("0.{}1", "0".repeat(16_000));
    let huge = format!("{}.5", "9".repeat(1_000));
    let sorted = [
        Value::Numeric(Numeric::NegativeInfinity),
        numeric(&format!("-{huge}")),
        numeric("-100.01"),
        numeric("-100"),
        numeric("-12"),
        numeric("-1.2"),
        numeric(&format!("-{tiny}")),
        numeric("0"),
        numeric(&tiny),
        numeric("0.1"),
        numeric("0.12"),
        numeric("1"),
        numeric("1.05"),
        numeric("1.5"),
        numeric("10"),
        numeric(&huge),
        Value::Numeric(Numeric::Infinity),
        Value::Numeric(Numeric::NaN),
    ];
    assert!(sorted.is_sorted_by(|a, b| bytes(a, ASCENDING) < bytes(b, ASCENDING)));
}

#[test]
fn values_of_other_types_are_refused() {
    let arrays = (SqlType::Int4.array(), SqlType::Int8.array());
    let array = Value::Array([Value::Int4(1), Value::Null].into());
    assert!(check_type(&array, &arrays.0).is_ok() && check_type(&array, &arrays.1).is_err());
    assert!(check_type(&Value::Null, &SqlType::Int4).is_ok());
    assert_eq!(check_type(&Value::Int4(1), &SqlType::Int8).unwrap_err().state().0, "XX000");
    assert!(check_type(&Value::text("a"), &SqlType::Varchar(Some(1))).is_ok());
}

#[test]
fn json_is_no_key() {
    assert_eq!(put(&mut BytesMut::new(), &Value::Json("1".into()), ASCENDING).unwrap_err().state().0, "0A000");
    assert!(!is_keyable(&SqlType::Array(Box::new(SqlType::Jsonb))));
}

/// Keys are stored data: a change of these bytes would lose every row.
#[test]
fn the_bytes_of_keys_never_change() {
    let hex = |value: &Value, order| bytes(value, order).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let last = KeyOrder { descending: true, nulls_first: true };
    let array = Value::Array([Value::Int4(1), Value::Null].into());
    let golden = [
        (Value::Null, "03", "01"),
        (Value::Bool(true), "0201", "02fe"),
        (Value::Int2(-1), "027fff", "028000"),
        (Value::Int4(1), "0280000001", "027ffffffe"),
        (Value::Int8(1), "028000000000000001", "027ffffffffffffffe"),
        (Value::Float4(1.5), "02bfc00000", "02403fffff"),
        (Value::Float8(-1.5), "024007ffffffffffff", "02bff8000000000000"),
        (numeric("123.40"), "0204800000030d2300", "02fb7ffffffcf2dcff"),
        (numeric("-0.001"), "020280000001f4ff", "02fd7ffffffe0b00"),
        (Value::text("a\0b"), "026100ff620001", "029eff009dfffe"),
        (Value::Bytea(Bytes::from_static(&[0xff])), "02ff0001", "0200fffe"),
        (Value::Date(-1), "027fffffff", "0280000000"),
        (Value::Time(1), "028000000000000001", "027ffffffffffffffe"),
        (Value::Timestamp(-1), "027fffffffffffffff", "028000000000000000"),
        (Value::Timestamptz(1), "028000000000000001", "027ffffffffffffffe"),
        (
            Value::Interval(Interval { months: 0, days: 1, micros: 1 }),
            "028000000000000000000000141dd76001",
            "027fffffffffffffffffffffebe2289ffe",
        ),
        (Value::Uuid([7; 16]), "0207070707070707070707070707070707", "02f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8f8"),
        (Value::Inet(Inet::parse("10.1.2.3").unwrap()), "02040a01020320", "02fbf5fefdfcdf"),
        (Value::Inet(Inet::parse("10.1.2.3/12").unwrap()), "02040a0000000c010203", "02fbf5fffffff3fefdfc"),
        (
            Value::Inet(Inet::parse("2001:db8::/32").unwrap()),
            "020620010db800000000000000000000000020000000000000000000000000",
            "02f9dffef247ffffffffffffffffffffffffdfffffffffffffffffffffffff",
        ),
        (Value::Enum(1 << 48), "028001000000000000", "027ffeffffffffffff"),
        (Value::Oid(16_384), "0200004000", "02ffffbfff"),
        (array, "0202800000010301", "02fd7ffffffefcfe"),
    ];
    for (value, ascending, descending) in golden {
        assert_eq!(
            (hex(&value, ASCENDING), hex(&value, last)),
            (ascending.to_owned(), descending.to_owned()),
            "{value:?}"
        );
    }
}
