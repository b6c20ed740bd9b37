//! Every dependency has a licence that `deny.toml` allows.
//!
//! Licence expressions are those of SPDX: `OR` (also written `/`), `AND`, `WITH`, parentheses.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::step::cargo;

/// Says which packages have no allowed licence.
pub fn check() -> Result<(), String> {
    let allowed = allowed()?;
    let output = cargo(["metadata", "--format-version=1", "--all-features"]).output().map_err(|e| e.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).map_err(|e| e.to_string())?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata names no packages")?;
    let refused: Vec<String> = packages.iter().filter_map(|package| refusal(package, &allowed)).collect();
    if refused.is_empty() {
        println!("    {} packages have an allowed licence", packages.len());
        Ok(())
    } else {
        Err(format!("these licences are not allowed in deny.toml:\n{}", refused.join("\n")))
    }
}

/// The licences that `deny.toml` allows.
fn allowed() -> Result<BTreeSet<String>, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deny.toml");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let file: toml::Table = text.parse().map_err(|error| format!("{}: {error}", path.display()))?;
    let list = file.get("licenses").and_then(|table| table.get("allow")).and_then(toml::Value::as_array);
    let list = list.ok_or("deny.toml has no list licenses.allow")?;
    Ok(list.iter().filter_map(toml::Value::as_str).map(str::to_owned).collect())
}

fn refusal(package: &Value, allowed: &BTreeSet<String>) -> Option<String> {
    let name = package["name"].as_str().unwrap_or("?");
    match package["license"].as_str() {
        None => Some(format!("  {name}: no licence is named")),
        Some(expression) => match is_allowed(expression, allowed) {
            Some(true) => None,
            Some(false) => Some(format!("  {name}: {expression}")),
            None => Some(format!("  {name}: '{expression}' is not a licence expression")),
        },
    }
}

/// Whether an expression can be met with allowed licences; `None` if it is not one.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> Option<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_ascii_whitespace().collect();
    let mut rest = words.as_slice();
    let met = any(&mut rest, allowed)?;
    rest.is_empty().then_some(met)
}

fn take(rest: &mut &[&str], word: &str) -> bool {
    let found = rest.first() == Some(&word);
    if found {
        *rest = &rest[1..];
    }
    found
}

fn any(rest: &mut &[&str], allowed: &BTreeSet<String>) -> Option<bool> {
    let mut met = all(rest, allowed)?;
    while take(rest, "OR") {
        met |= all(rest, allowed)?;
    }
    Some(met)
}

fn all(rest: &mut &[&str], allowed: &BTreeSet<String>) -> Option<bool> {
    let mut met = one(rest, allowed)?;
    while take(rest, "AND") {
        met &= one(rest, allowed)?;
    }
    Some(met)
}

fn one(rest: &mut &[&str], allowed: &BTreeSet<String>) -> Option<bool> {
    if take(rest, "(") {
        let met = any(rest, allowed)?;
        return take(rest, ")").then_some(met);
    }
    let (name, after) = rest.split_first().filter(|(name, _)| !["OR", "AND", "WITH", ")"].contains(name))?;
    *rest = after;
    if take(rest, "WITH") {
        let (exception, after) = rest.split_first()?;
        *rest = after;
        return Some(allowed.contains(&format!("{name} WITH {exception}")));
    }
    Some(allowed.contains(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let allowed = ["MIT", "Zlib", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).into();
        for (expression, expected) in [
            ("MIT", Some(true)),
            ("GPL-3.0", Some(false)),
            ("GPL-3.0 OR MIT", Some(true)),
            ("GPL-3.0/MIT", Some(true)),
            ("MIT AND GPL-3.0", Some(false)),
            ("MIT AND GPL-3.0 OR Zlib", Some(true)),
            ("MIT AND (GPL-3.0 OR Zlib)", Some(true)),
            ("(MIT OR Zlib) AND GPL-3.0", Some(false)),
            ("Apache-2.0 WITH LLVM-exception", Some(true)),
            ("Apache-2.0", Some(false)),
            ("MIT WITH LLVM-exception", Some(false)),
            ("", None),
            ("MIT OR", None),
            ("(MIT", None),
            ("MIT Zlib", None),
            ("MIT WITH", None),
        ] {
            assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
        }
    }

    #[test]
    fn a_package_without_licence_is_refused() {
        let package = serde_json::json!({ "name": "x", "license": null });
        assert!(refusal(&package, &BTreeSet::new()).is_some());
    }

    #[test]
    fn the_own_licence_is_allowed() {
        assert_eq!(is_allowed("Apache-2.0 OR MIT", &allowed().unwrap()), Some(true));
    }
}
