//! Namespaces of the first topology: the built-in ones, changed and extended by `[[namespace]]` entries.

use std::collections::BTreeMap;

use annulus_base::NamespaceId;
use annulus_ring::{Basis, Namespace};
use toml::Spanned;
use toml::de::DeValue;

use super::error::Problem;
use super::settings::Config;
use super::source::{Given, Origin, text_of, wrong_type};
use super::value::{BasisKind, Name, Number, ReplicationFactor, Value};

/// How many numbered databases the key-value interface has: `db0` to `db15`.
pub const KV_DATABASES: u32 = 16;

/// A `[[namespace]]` of the file, as written.
#[derive(Debug)]
pub(super) struct NamespaceEntry {
    origin: Origin,
    fields: BTreeMap<&'static str, Given>,
}

const FIELDS: [&str; 4] = ["name", "by", "slots", "replication_factor"];

type Slots = Number<1, 65535>;

/// Reads the array of tables `namespace`.
pub(super) fn entries(
    value: &Spanned<DeValue<'_>>,
    place: &dyn Fn(usize) -> Origin,
    problems: &mut Vec<Problem>,
) -> Vec<NamespaceEntry> {
    let tables = value.get_ref().as_array().into_iter().flat_map(|array| array.iter());
    let found: Vec<NamespaceEntry> = tables.filter_map(|table| entry(table, place, problems)).collect();
    if found.is_empty() {
        let origin = place(value.span().start);
        problems.push(wrong_type("namespace", value, origin, "[[namespace]] tables".to_owned()));
    }
    found
}

fn entry(
    table: &Spanned<DeValue<'_>>,
    place: &dyn Fn(usize) -> Origin,
    problems: &mut Vec<Problem>,
) -> Option<NamespaceEntry> {
    let mut entry = NamespaceEntry { origin: place(table.span().start), fields: BTreeMap::new() };
    for (key, value) in table.get_ref().as_table()? {
        let origin = place(key.span().start);
        let name: &str = key.get_ref();
        match (FIELDS.iter().find(|field| **field == name), text_of(value)) {
            (Some(field), Some(text)) => drop(entry.fields.insert(field, Given { text, origin })),
            (Some(_), None) => problems.push(wrong_type(name, value, origin, "a string or a number".to_owned())),
            (None, _) => {
                let known = FIELDS.map(str::to_owned).to_vec();
                problems.push(Problem::UnknownKey { origin, key: name.to_owned(), known });
            }
        }
    }
    Some(entry)
}

impl NamespaceEntry {
    fn read<T: Value>(&self, field: &str, problems: &mut Vec<Problem>) -> Option<T> {
        let given = self.fields.get(field)?;
        let value = T::parse(&given.text);
        if value.is_none() {
            problems.push(Problem::not_allowed(field, given, T::allowed()));
        }
        value
    }

    fn conflict(&self, reason: String) -> Problem {
        Problem::Conflict { origin: self.origin.clone(), reason }
    }

    /// Applies the entry to the namespaces so far.
    fn apply(&self, config: &Config, all: &mut Vec<Namespace>, problems: &mut Vec<Problem>) {
        let Some(name) = self.read::<Name>("name", problems) else {
            if !self.fields.contains_key("name") {
                problems.push(self.conflict("a [[namespace]] needs a 'name'".to_owned()));
            }
            return;
        };
        if name.as_str() == SYSTEM {
            return problems.push(self.conflict(format!("the namespace '{SYSTEM}' is built in and cannot be changed")));
        }
        let slots = self.read::<Slots>("slots", problems).map(Slots::get);
        let basis = match self.read::<BasisKind>("by", problems).unwrap_or(BasisKind::Key) {
            BasisKind::Name if self.fields.contains_key("slots") => {
                return problems.push(self.conflict(format!("namespace '{name}' is by name, so it has no 'slots'")));
            }
            BasisKind::Name => Basis::ByName,
            BasisKind::Key => by_key(slots.unwrap_or_else(|| config.kv_slots.get())),
        };
        let replication_factor = self.read("replication_factor", problems).unwrap_or(config.replication_factor);
        let next = NamespaceId(all.len() as u32);
        match all.iter_mut().find(|known| known.name == name.as_str()) {
            Some(known) => (known.basis, known.replication_factor) = (basis, replication_factor.get()),
            None => all.push(namespace(next, name.to_string(), basis, replication_factor)),
        }
    }
}

const SYSTEM: &str = "system";

fn by_key(slots: u64) -> Basis {
    Basis::ByKey { slots: u16::try_from(slots).unwrap_or(u16::MAX) }
}

fn namespace(id: NamespaceId, name: String, basis: Basis, replication_factor: ReplicationFactor) -> Namespace {
    Namespace { replication_factor: replication_factor.get(), ..Namespace::new(id, name, basis) }
}

/// The built-in namespaces, then the file's.
pub(super) fn all(config: &Config, entries: &[NamespaceEntry], problems: &mut Vec<Problem>) -> Vec<Namespace> {
    let factor = config.replication_factor;
    let mut all = vec![namespace(NamespaceId::SYSTEM, SYSTEM.to_owned(), Basis::ByName, factor)];
    for n in 0..KV_DATABASES {
        all.push(namespace(NamespaceId(n + 1), format!("db{n}"), by_key(config.kv_slots.get()), factor));
    }
    for entry in entries {
        entry.apply(config, &mut all, problems);
    }
    all
}
