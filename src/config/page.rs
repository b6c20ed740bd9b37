//! The configuration as text: the effective one, the default file, and the user guide's table.

use std::fmt::Write as _;

use annulus_ring::{Basis, Namespace};

use super::Loaded;
use super::settings::{SETTINGS, Setting};

impl Loaded {
    /// The effective configuration as a TOML file that says where each value was given.
    #[must_use]
    pub fn effective(&self) -> String {
        let mut out = String::new();
        for (key, text) in self.config.texts() {
            let Some(setting) = Setting::find(key) else { continue };
            let origin = self.origins.get(key).map(ToString::to_string).unwrap_or_default();
            let line = format!("{key} = {}", setting.toml(&text));
            let _ = writeln!(out, "{line:<50} # {origin}");
        }
        out.push_str("\n# Namespaces:\n");
        for namespace in &self.config.namespaces {
            let _ = writeln!(out, "# {}", describe(namespace));
        }
        out
    }
}

fn describe(namespace: &Namespace) -> String {
    let Namespace { id, name, basis, replication_factor, .. } = namespace;
    let basis = match basis {
        Basis::ByName => "by name".to_owned(),
        Basis::ByKey { slots } => format!("by key, {slots} slots"),
    };
    format!("{id} {name}: {basis}, replication factor {replication_factor}")
}

/// The settings in order, each with its group's name where a group begins.
fn grouped() -> impl Iterator<Item = (Option<&'static str>, &'static Setting)> {
    let before = std::iter::once(None).chain(SETTINGS.iter().map(|setting| Some(setting.group)));
    SETTINGS.iter().zip(before).map(|(setting, before)| {
        let begins = before != Some(setting.group);
        (begins.then_some(setting.group), setting)
    })
}

/// A configuration file with every setting at its default, explained.
#[must_use]
pub fn default_file() -> String {
    let mut out = String::from("# Annulus configuration: every setting at its default.\n");
    for (group, setting) in grouped() {
        if let Some(group) = group {
            let _ = writeln!(out, "\n# ---- {group} ----");
        }
        out.push('\n');
        for line in setting.help.lines() {
            let _ = writeln!(out, "# {}", line.trim());
        }
        let _ = writeln!(out, "# Allowed: {}", (setting.allowed)());
        let _ = writeln!(out, "{} = {}", setting.key, setting.toml(setting.default));
    }
    out.push_str(NAMESPACE_EXAMPLE);
    out
}

const NAMESPACE_EXAMPLE: &str = r#"
# ---- Namespaces ----

# The key-value databases db0 to db15 exist by themselves. An entry of that name changes one, any other name adds a
# namespace. Every node of a cluster must be given the same entries, in the same order.
# [[namespace]]
# name = "db1"
# by = "key"              # "key": cut into hash slots; "name": all of it on one replica ring
# slots = 16              # default kv_slots; only with by = "key"
# replication_factor = 5  # 1, 3 or 5; default replication_factor
"#;

/// The user guide's tables of settings, in Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::new();
    for (group, setting) in grouped() {
        if let Some(group) = group {
            let _ =
                writeln!(out, "\n## {group}\n\n| setting | default | meaning | allowed |\n| --- | --- | --- | --- |");
        }
        let help: Vec<&str> = setting.help.lines().map(str::trim).collect();
        let default = if setting.default.is_empty() { String::new() } else { format!("`{}`", setting.default) };
        let _ = writeln!(out, "| `{}` | {default} | {} | {} |", setting.key, help.join(" "), (setting.allowed)());
    }
    out
}
