//! Names that objects get which are not given one.

use annulus_relation::catalog::{Catalog, ObjectId, Table};

use crate::parse::MAX_IDENTIFIER;

/// `first_second_label`, the longer of the first two cut so that it is no longer than names are.
///
/// Source: PostgreSQL 15, `makeObjectName`.
pub(super) fn object_name(first: &str, second: &str, label: &str) -> String {
    let overhead = usize::from(!second.is_empty()) + if label.is_empty() { 0 } else { label.len() + 1 };
    let room = MAX_IDENTIFIER - overhead;
    let (mut one, mut two) = (first.len(), second.len());
    while one + two > room {
        if one > two { one -= 1 } else { two -= 1 }
    }
    let mut name = first[..first.floor_char_boundary(one)].to_owned();
    for part in [&second[..second.floor_char_boundary(two)], label] {
        if !part.is_empty() {
            name = format!("{name}_{part}");
        }
    }
    name
}

/// Such a name that no relation of the schema has, nor any of `taken`.
pub(super) fn free_relation_name(
    catalog: &Catalog,
    schema: ObjectId,
    taken: &[String],
    parts: (&str, &str, &str),
) -> String {
    free(parts, |name| catalog.relation(schema, name).is_some() || taken.iter().any(|other| other == name))
}

/// Such a name that no constraint of the table has.
pub(super) fn free_constraint_name(table: &Table, parts: (&str, &str, &str)) -> String {
    free(parts, |name| table.has_constraint(name))
}

fn free((first, second, label): (&str, &str, &str), is_taken: impl Fn(&str) -> bool) -> String {
    let name = object_name(first, second, label);
    if !is_taken(&name) {
        return name;
    }
    let mut number = 1_u32;
    loop {
        let name = object_name(first, second, &format!("{label}{number}"));
        if !is_taken(&name) {
            return name;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_as_postgresql_cuts_them() {
        assert_eq!(object_name("t", "", "pkey"), "t_pkey");
        assert_eq!(object_name("t", "a_b", "key"), "t_a_b_key");
        let long = object_name(&"x".repeat(60), "column", "idx");
        assert_eq!(long.len(), MAX_IDENTIFIER);
        assert!(long.ends_with("_column_idx"));
    }
}
