//! Trimming and padding.

use annulus_relation::{SqlResult, Value};

use super::super::super::registry::{Entry, Site, entry};
use super::super::args::{check_length, int4, string, text};
use super::basic::from_character;

pub(in super::super) const TABLE: &[Entry] = &[
    entry("btrim(text) text", trim_both),
    entry("btrim(text,text) text", trim_both),
    entry("ltrim(text) text", trim_left),
    entry("ltrim(text,text) text", trim_left),
    entry("rtrim(text) text", trim_right),
    entry("rtrim(text,text) text", trim_right),
    entry("lpad(text,int4) text", pad_left),
    entry("lpad(text,int4,text) text", pad_left),
    entry("rpad(text,int4) text", pad_right),
    entry("rpad(text,int4,text) text", pad_right),
];

fn second(args: &[Value], at: usize) -> SqlResult<&str> {
    if args.len() > at { text(args, at) } else { Ok(" ") }
}

fn trim_both(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let set = second(args, 1)?;
    string(text(args, 0)?.trim_matches(|c| set.contains(c)))
}

fn trim_left(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let set = second(args, 1)?;
    string(text(args, 0)?.trim_start_matches(|c| set.contains(c)))
}

fn trim_right(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let set = second(args, 1)?;
    string(text(args, 0)?.trim_end_matches(|c| set.contains(c)))
}

/// The text cut to a length, and what fills it up to that.
fn padded(args: &[Value]) -> SqlResult<(&str, String)> {
    let (base, fill) = (text(args, 0)?, second(args, 2)?);
    let wanted = usize::try_from(int4(args, 1)?).unwrap_or(0);
    let kept = &base[..base.len() - from_character(base, wanted).len()];
    let missing = wanted - kept.chars().count();
    if fill.is_empty() {
        return Ok((kept, String::new()));
    }
    check_length(missing.saturating_mul(4))?;
    Ok((kept, fill.chars().cycle().take(missing).collect()))
}

fn pad_left(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let (kept, fill) = padded(args)?;
    string(fill + kept)
}

fn pad_right(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let (kept, fill) = padded(args)?;
    string(kept.to_owned() + &fill)
}
