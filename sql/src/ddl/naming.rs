//! Names that objects get which are not given one.

use std::collections::HashSet;

use annulus_relation::catalog::{Catalog, Table};

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

/// Such a name, after the table's, that no relation of its schema has, nor an index that the table is being given.
pub(super) fn free_relation_name(catalog: &Catalog, table: &Table, columns: &str, label: &str) -> String {
    let own = table.indexes.iter().map(|index| index.name.as_str());
    let taken: HashSet<&str> = own.chain([table.name.as_str()]).collect();
    free((&table.name, columns, label), |name| taken.contains(name) || catalog.relation(table.schema, name).is_some())
}

/// Such a name, after the table's, that no constraint of it has.
pub(super) fn free_constraint_name(table: &Table, columns: &str, label: &str) -> String {
    let taken: HashSet<&str> = table.constraint_names().collect();
    free((&table.name, columns, label), |name| taken.contains(name))
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
