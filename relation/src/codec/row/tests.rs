//! Rows survive what happens to their tables; damage is found; stored bytes never change.

use proptest::prelude::*;

use super::*;
use crate::codec::samples::{nullable, types};
use crate::value::{Inet, Interval, Numeric};

fn layout(ids: impl IntoIterator<Item = ColumnId>) -> Layout {
    Layout::new(7, ids.into_iter().map(|id| (id, Value::Null)).collect())
}

fn key() -> Key {
    Key::new(0, 7, 1, b"k")
}

/// Compares floats by their bits: NaN is kept, too.
fn same(a: &[Value], b: &[Value]) -> bool {
    format!("{a:?}") == format!("{b:?}")
}

fn rows() -> impl Strategy<Value = Row> {
    prop::collection::vec(types().prop_flat_map(|ty| nullable(&ty)), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn rows_come_back(row in rows()) {
        let layout = layout(1..=row.len() as ColumnId);
        let back = layout.decode(&key(), &layout.encode(&row)).unwrap();
        prop_assert!(same(&back, &row), "{back:?}");
    }

    #[test]
    fn some_columns_in_any_order(row in rows(), picks in prop::collection::vec(any::<prop::sample::Index>(), 0..4)) {
        let ids: Vec<ColumnId> = (1..=row.len() as ColumnId).collect();
        let mut picks: Vec<usize> = picks.into_iter().filter(|_| !row.is_empty()).map(|pick| pick.index(row.len())).collect();
        picks.sort_unstable();
        picks.dedup();
        picks.reverse();
        let some = layout(picks.iter().map(|pick| ids[*pick]));
        let back = some.decode(&key(), &layout(ids.clone()).encode(&row)).unwrap();
        let wanted: Row = picks.iter().map(|pick| row[*pick].clone()).collect();
        prop_assert!(same(&back, &wanted));
    }

    #[test]
    fn every_damaged_byte_is_found(row in rows(), at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let layout = layout(1..=row.len() as ColumnId);
        let mut bytes = layout.encode(&row).to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let error = layout.decode(&key(), &Bytes::from(bytes)).unwrap_err();
        prop_assert_eq!(error.state(), SqlState::DATA_CORRUPTED);
    }

    #[test]
    fn content_of_anybody_never_panics(content in prop::collection::vec(any::<u8>(), 0..60)) {
        let mut bytes = vec![VERSION];
        bytes.extend(checksum(7, &content).to_be_bytes());
        bytes.extend(content);
        let _ = layout([1, 2, 3]).decode(&key(), &Bytes::from(bytes));
    }

    #[test]
    fn single_values_come_back(value in types().prop_flat_map(|ty| nullable(&ty))) {
        prop_assert!(same(&[decode_value(&encode_value(&value)).unwrap()], &[value]));
    }
}

#[test]
fn columns_come_and_go() {
    let before = layout([1, 2, 3]);
    let bytes = before.encode(&[Value::Int4(1), Value::text("dropped"), Value::Null]);
    let after = Layout::new(7, vec![(4, Value::Int4(42)), (1, Value::Null), (3, Value::Null)]);
    assert_eq!(after.decode(&key(), &bytes).unwrap(), [Value::Int4(42), Value::Int4(1), Value::Null]);
    let row = [Value::Null, Value::Int4(2), Value::Bool(true)];
    assert_eq!(after.decode(&key(), &after.encode(&row)).unwrap(), row);
}

#[test]
fn a_row_of_another_table_is_refused() {
    let bytes = layout([1]).encode(&[Value::Int4(1)]);
    let other = Layout::new(8, vec![(1, Value::Null)]);
    let error = other.decode(&key(), &bytes).unwrap_err();
    assert_eq!(error.to_string(), "the record at 'k' of table 8 is damaged: its checksum is wrong");
    for cut in 0..bytes.len() {
        assert!(layout([1]).decode(&key(), &bytes.slice(..cut)).is_err());
    }
}

/// Rows are stored data: a change of these bytes would lose every row.
#[test]
fn the_bytes_of_rows_never_change() {
    let values = [
        Value::Null,
        Value::Bool(false),
        Value::Bool(true),
        Value::Int2(-2),
        Value::Int4(300),
        Value::Int8(1 << 40),
        Value::Float4(1.5),
        Value::Float8(-0.0),
        Value::Numeric(Numeric::Finite("-12.50".parse().unwrap())),
        Value::Numeric(Numeric::NaN),
        Value::text("hé"),
        Value::Bytea(Bytes::from_static(&[0, 1])),
        Value::Date(-1),
        Value::Time(1),
        Value::Timestamp(-1),
        Value::Timestamptz(64),
        Value::Interval(Interval { months: 1, days: -1, micros: 2 }),
        Value::Uuid([9; 16]),
        Value::Json("{}".into()),
        Value::Jsonb("[]".into()),
        Value::Array([Value::Int4(1), Value::Null].into()),
        Value::Oid(16_384),
    ];
    let layout = Layout::new(7, (1..).zip(values.iter().map(|_| Value::Bool(true))).collect());
    let bytes = layout.encode(&values);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let golden = concat!(
        "0180e9aa06204162830103a401d804c501808080808040e6013fc00000",
        "87028000000000000000a802000402fb1ec80201e9020368c3a98a03020001ab0301cc0302ed03018e048001",
        "af04020104d00409090909090909090909090909090909f104027b7d9205025b5db30502040200d405808001"
    );
    assert_eq!(hex, golden);
    assert_eq!(layout.decode(&key(), &bytes).unwrap(), values);
}

/// As [`the_bytes_of_rows_never_change`].
#[test]
fn the_bytes_of_addresses_never_change() {
    let values = ["10.1.2.3", "10.1.2.3/12", "::1/64"].map(|text| Value::Inet(Inet::parse(text).unwrap()));
    let layout = layout(1..=3);
    let bytes = layout.encode(&values);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hex,
        "01b126152935040a0102032055040a0000000c010203750600000000000000000000000000000000400000000000000001"
    );
    assert_eq!(layout.decode(&key(), &bytes).unwrap(), values);
}

/// As [`the_bytes_of_rows_never_change`]. Labels that were declared one behind the other take a byte or two each.
#[test]
fn the_bytes_of_labels_never_change() {
    let values = [0, 1 << 48, 2 << 48, 1 << 46, -1 << 48].map(Value::Enum);
    let layout = layout(1..=5);
    let bytes = layout.encode(&values);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "0172439bea360056027604960180808080808080808001b601feff07");
    assert_eq!(layout.decode(&key(), &bytes).unwrap(), values);
}
