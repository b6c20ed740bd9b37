//! Regular expressions: `~`, `regexp_replace`, `regexp_match` and their kin.

use std::ops::Range;
use std::rc::Rc;

use annulus_relation::{SqlError, SqlResult, SqlState, Value};
use regex_automata::nfa::thompson::{self, pikevm::PikeVM};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use super::super::super::registry::{Entry, Site, entry};
use super::super::args::{check_length, count, int4, invalid, string, text};
use super::super::recent::Recent;
pub(in super::super) use super::regex_syntax::Options;
use super::regex_syntax::{bad, translate};

pub(in super::super) const TABLE: &[Entry] = &[
    entry("~(text,text) bool", matches),
    entry("~(bpchar,text) bool", matches),
    entry("!~(text,text) bool", not_matches),
    entry("!~(bpchar,text) bool", not_matches),
    entry("~*(text,text) bool", imatches),
    entry("~*(bpchar,text) bool", imatches),
    entry("!~*(text,text) bool", not_imatches),
    entry("!~*(bpchar,text) bool", not_imatches),
    entry("regexp_like(text,text) bool", like),
    entry("regexp_like(text,text,text) bool", like),
    entry("regexp_match(text,text) text[]", first_match),
    entry("regexp_match(text,text,text) text[]", first_match),
    entry("regexp_replace(text,text,text) text", replace),
    entry("regexp_replace(text,text,text,text) text", replace),
    entry("regexp_replace(text,text,text,int4) text", replace_from),
    entry("regexp_replace(text,text,text,int4,int4) text", replace_from),
    entry("regexp_replace(text,text,text,int4,int4,text) text", replace_from),
    entry("regexp_split_to_array(text,text) text[]", split),
    entry("regexp_split_to_array(text,text,text) text[]", split),
    entry("regexp_count(text,text) int4", count_matches),
    entry("regexp_count(text,text,int4) int4", count_matches),
    entry("regexp_count(text,text,int4,text) int4", count_matches),
    entry("regexp_substr(text,text) text", substring),
    entry("regexp_substr(text,text,int4) text", substring),
    entry("regexp_substr(text,text,int4,int4) text", substring),
    entry("regexp_substr(text,text,int4,int4,text) text", substring),
    entry("regexp_substr(text,text,int4,int4,text,int4) text", substring),
    entry("regexp_instr(text,text) int4", place),
    entry("regexp_instr(text,text,int4) int4", place),
    entry("regexp_instr(text,text,int4,int4) int4", place),
    entry("regexp_instr(text,text,int4,int4,int4) int4", place),
    entry("regexp_instr(text,text,int4,int4,int4,text) int4", place),
    entry("regexp_instr(text,text,int4,int4,int4,text,int4) int4", place),
    entry("substring(text,text) text", captured),
    entry("similar_to_escape(text) text", similar),
    entry("similar_to_escape(text,text) text", similar),
];

/// How much memory a compiled pattern may take.
const MAX_SIZE: usize = 4 << 20;

thread_local! {
    static RECENT: Recent<(String, Options), Pattern> = const { Recent::new() };
}

/// A compiled pattern: one engine that answers whether and where, one that finds how long a match is.
struct Pattern {
    finder: regex::Regex,
    extent: PikeVM,
    greedy: bool,
}

/// A match: its place, and those of its groups.
struct Found {
    whole: Range<usize>,
    groups: Vec<Option<Range<usize>>>,
}

impl Found {
    /// The groups of a match in a text, or all of it if there are none, as an array.
    fn parts(self, text: &str) -> Value {
        let part = |range: Option<Range<usize>>| range.map_or(Value::Null, |range| Value::text(&text[range]));
        let parts: Vec<Value> = match self.groups.is_empty() {
            true => vec![part(Some(self.whole))],
            false => self.groups.into_iter().map(part).collect(),
        };
        Value::Array(parts.into())
    }
}

fn compile(pattern: &str, options: Options) -> SqlResult<Pattern> {
    let translated = translate(pattern, options)?;
    let options = translated.options;
    let finder = regex::RegexBuilder::new(&translated.pattern)
        .case_insensitive(options.ignore_case)
        .dot_matches_new_line(!options.newline_stops)
        .multi_line(options.line_anchors)
        .size_limit(MAX_SIZE)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => bad("regular expression is too complex"),
            _ => bad("syntax not understood"),
        })?;
    let reading = syntax::Config::new()
        .case_insensitive(options.ignore_case)
        .dot_matches_new_line(!options.newline_stops)
        .multi_line(options.line_anchors);
    let extent = PikeVM::builder()
        .syntax(reading)
        .thompson(thompson::Config::new().nfa_size_limit(Some(MAX_SIZE)))
        .configure(PikeVM::config().match_kind(MatchKind::All))
        .build(&translated.pattern)
        .map_err(|_| bad("regular expression is too complex"))?;
    Ok(Pattern { finder, extent, greedy: translated.greedy })
}

/// Whether a pattern matches somewhere in a text.
pub(in super::super) fn is_match(subject: &str, text: &str, options: Options) -> SqlResult<bool> {
    Ok(pattern(text, options)?.finder.is_match(subject))
}

/// The pattern compiled, from the thread's cache if it is there.
fn pattern(text: &str, options: Options) -> SqlResult<Rc<Pattern>> {
    let options = Options { global: false, ..options };
    let is = |(known, with): &(String, Options)| known == text && *with == options;
    RECENT.with(|recent| recent.get(is, || Ok(((text.to_owned(), options), compile(text, options)?))))
}

impl Pattern {
    /// The first match at or behind a place: PostgreSQL takes the longest of those that begin first, or the shortest if
    /// the pattern is not greedy.
    fn find(&self, text: &str, from: usize) -> Option<Found> {
        let start = self.finder.find_at(text, from)?.start();
        let input = Input::new(text).span(start..text.len()).anchored(Anchored::Yes).earliest(!self.greedy);
        let mut captures = self.extent.create_captures();
        self.extent.captures(&mut self.extent.create_cache(), input, &mut captures);
        let range = |group: usize| captures.get_group(group).map(|span| span.start..span.end);
        Some(Found { whole: range(0)?, groups: (1..captures.group_len()).map(range).collect() })
    }

    /// All matches, one behind the other.
    fn find_all<'t>(&'t self, text: &'t str, from: usize) -> impl Iterator<Item = Found> + 't {
        let mut next = Some(from);
        std::iter::from_fn(move || {
            let found = self.find(text, next?)?;
            next = if found.whole.is_empty() { after(text, found.whole.end) } else { Some(found.whole.end) };
            Some(found)
        })
    }
}

/// The place behind the character at a place.
fn after(text: &str, at: usize) -> Option<usize> {
    text[at..].chars().next().map(|character| at + character.len_utf8())
}

fn flags(args: &[Value], index: usize) -> SqlResult<Options> {
    if args.len() > index { Options::parse(text(args, index)?) } else { Ok(Options::default()) }
}

/// Options of a function that looks for one match only.
fn flags_of(function: &str, args: &[Value], index: usize, hint: Option<&str>) -> SqlResult<Options> {
    let options = flags(args, index)?;
    if options.global {
        let error = invalid(format!("{function}() does not support the \"global\" option"));
        return Err(hint.map_or_else(|| error.clone(), |hint| error.clone().hint(hint)));
    }
    Ok(options)
}

fn holds(args: &[Value], ignore_case: bool) -> SqlResult<bool> {
    let options = Options { ignore_case, ..Options::default() };
    Ok(pattern(text(args, 1)?, options)?.finder.is_match(text(args, 0)?))
}

fn matches(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    holds(args, false).map(Value::Bool)
}

fn not_matches(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    holds(args, false).map(|found| Value::Bool(!found))
}

fn imatches(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    holds(args, true).map(Value::Bool)
}

fn not_imatches(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    holds(args, true).map(|found| Value::Bool(!found))
}

fn like(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let options = flags_of("regexp_like", args, 2, None)?;
    Ok(Value::Bool(pattern(text(args, 1)?, options)?.finder.is_match(text(args, 0)?)))
}

fn first_match(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let hint = "Use the regexp_matches function instead.";
    let options = flags_of("regexp_match", args, 2, Some(hint))?;
    let base = text(args, 0)?;
    Ok(pattern(text(args, 1)?, options)?.find(base, 0).map_or(Value::Null, |found| found.parts(base)))
}

/// `regexp_matches`: the first match, or all of them, each with its groups.
pub(crate) fn all_matches(args: &[Value]) -> SqlResult<Vec<Value>> {
    let options = flags(args, 2)?;
    let base = text(args, 0)?;
    let pattern = pattern(text(args, 1)?, options)?;
    let most = if options.global { usize::MAX } else { 1 };
    Ok(pattern.find_all(base, 0).take(most).map(|found| found.parts(base)).collect())
}

/// `substring(text from pattern)`: the first group, or all if there is none.
fn captured(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let base = text(args, 0)?;
    let Some(found) = pattern(text(args, 1)?, Options::default())?.find(base, 0) else { return Ok(Value::Null) };
    match found.groups.into_iter().next() {
        None => string(&base[found.whole]),
        Some(None) => Ok(Value::Null),
        Some(Some(group)) => string(&base[group]),
    }
}

/// A number of which the least value is given.
fn at_least(least: i32, name: &str, args: &[Value], index: usize, default: i32) -> SqlResult<usize> {
    let given = if args.len() > index { int4(args, index)? } else { default };
    match usize::try_from(given) {
        Ok(number) if given >= least => Ok(number),
        _ => Err(invalid(format!("invalid value for parameter \"{name}\": {given}"))),
    }
}

/// The nth match, or a group of it, of a function whose arguments begin with text, pattern, start and n.
fn nth_match(args: &[Value], options: Options, group: usize) -> SqlResult<Option<Range<usize>>> {
    let base = text(args, 0)?;
    let nth = at_least(1, "n", args, 3, 1)?;
    let Some(start) = start_of(base, args, 2)? else { return Ok(None) };
    let found = pattern(text(args, 1)?, options)?.find_all(base, start).nth(nth - 1);
    Ok(match (found, group) {
        (Some(found), 0) => Some(found.whole),
        (Some(found), group) => found.groups.into_iter().nth(group - 1).flatten(),
        (None, _) => None,
    })
}

/// `regexp_substr`
fn substring(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    at_least(1, "start", args, 2, 1)?;
    at_least(1, "n", args, 3, 1)?;
    let group = at_least(0, "subexpr", args, 5, 0)?;
    let options = flags_of("regexp_substr", args, 4, None)?;
    nth_match(args, options, group)?.map_or(Ok(Value::Null), |found| string(&text(args, 0)?[found]))
}

/// `regexp_instr`: the character at which a match begins, or the one behind it.
fn place(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    at_least(1, "start", args, 2, 1)?;
    at_least(1, "n", args, 3, 1)?;
    let behind = match at_least(0, "endoption", args, 4, 0)? {
        0 => false,
        1 => true,
        other => return Err(invalid(format!("invalid value for parameter \"endoption\": {other}"))),
    };
    let group = at_least(0, "subexpr", args, 6, 0)?;
    let options = flags_of("regexp_instr", args, 5, None)?;
    let Some(found) = nth_match(args, options, group)? else { return Ok(Value::Int4(0)) };
    count(text(args, 0)?[..if behind { found.end } else { found.start }].chars().count() + 1)
}

/// The byte at which a search that begins at a character begins.
fn start_of(base: &str, args: &[Value], index: usize) -> SqlResult<Option<usize>> {
    let start = if args.len() > index { int4(args, index)? } else { 1 };
    let skip = usize::try_from(start).ok().and_then(|start| start.checked_sub(1));
    let Some(skip) = skip else {
        return Err(invalid(format!("invalid value for parameter \"start\": {start}")));
    };
    let count = base.chars().count();
    Ok((skip <= count).then(|| base.len() - super::basic::from_character(base, skip).len()))
}

fn count_matches(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let options = flags_of("regexp_count", args, 3, None)?;
    let base = text(args, 0)?;
    let Some(start) = start_of(base, args, 2)? else { return Ok(Value::Int4(0)) };
    count(pattern(text(args, 1)?, options)?.find_all(base, start).count())
}

fn split(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let options = flags_of("regexp_split_to_array", args, 2, None)?;
    let base = text(args, 0)?;
    let compiled = pattern(text(args, 1)?, options)?;
    let (mut parts, mut from) = (Vec::new(), 0);
    // A match of nothing at an end of what is left separates nothing.
    for found in compiled.find_all(base, 0).filter(|found| found.whole.end > 0) {
        if found.whole.is_empty() && (found.whole.start == from || found.whole.start == base.len()) {
            continue;
        }
        parts.push(Value::text(&base[from..found.whole.start]));
        from = found.whole.end;
    }
    parts.push(Value::text(&base[from..]));
    Ok(Value::Array(parts.into()))
}

fn replace(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    if args.len() > 3 && text(args, 3)?.starts_with(|c: char| c.is_ascii_digit()) {
        let option = text(args, 3)?.chars().next().unwrap_or(' ');
        return Err(invalid(format!("invalid regular expression option: \"{option}\"")).hint(
            "If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly.",
        ));
    }
    let options = flags(args, 3)?;
    substitute(args, options, 0, if options.global { 0 } else { 1 })
}

fn replace_from(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let options = flags(args, 5)?;
    let nth = match args.get(4) {
        Some(_) => int4(args, 4)?,
        None => 1,
    };
    let Ok(nth) = usize::try_from(nth) else {
        return Err(invalid(format!("invalid value for parameter \"n\": {nth}")));
    };
    match start_of(text(args, 0)?, args, 3)? {
        Some(start) => substitute(args, options, start, if args.len() < 5 && options.global { 0 } else { nth }),
        None => Ok(args[0].clone()),
    }
}

/// Replaces the nth match, or all if that is 0.
fn substitute(args: &[Value], options: Options, start: usize, nth: usize) -> SqlResult<Value> {
    let (base, template) = (text(args, 0)?, text(args, 2)?);
    let compiled = pattern(text(args, 1)?, options)?;
    let (mut result, mut from) = (String::new(), 0);
    let wanted = |index: usize| nth == 0 || index + 1 == nth;
    let last = if nth == 0 { usize::MAX } else { nth };
    for (_, found) in compiled.find_all(base, start).take(last).enumerate().filter(|(index, _)| wanted(*index)) {
        result.push_str(&base[from..found.whole.start]);
        insert(&mut result, template, base, &found);
        check_length(result.len())?;
        from = found.whole.end;
    }
    result.push_str(&base[from..]);
    string(result)
}

/// The replacement: `\1` is a group, `\&` the whole match, `\\` a backslash.
fn insert(result: &mut String, template: &str, base: &str, found: &Found) {
    let mut rest = template.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            result.push(character);
            continue;
        }
        match rest.next() {
            None => result.push('\\'),
            Some('&') => result.push_str(&base[found.whole.clone()]),
            Some('\\') => result.push('\\'),
            Some(digit @ '1'..='9') => {
                let group = digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok()).unwrap_or(1) - 1;
                if let Some(Some(range)) = found.groups.get(group) {
                    result.push_str(&base[range.clone()]);
                }
            }
            Some(other) => result.extend(['\\', other]),
        }
    }
}

/// A pattern of `SIMILAR TO` as a regular expression.
fn similar(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let escape = if args.len() > 1 { super::pattern::escape_character(text(args, 1)?)? } else { Some('\\') };
    let mut result = String::from("^(?:");
    let mut rest = text(args, 0)?.chars();
    let mut brackets = false;
    while let Some(character) = rest.next() {
        if Some(character) == escape {
            match rest.next() {
                Some('"') => return Err(SqlError::unsupported("a separator in a SIMILAR TO pattern")),
                Some(next) => result.extend(['\\', next]),
                None => {
                    return Err(SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape sequence"));
                }
            }
            continue;
        }
        match character {
            ']' if brackets => {
                brackets = false;
                result.push(']');
            }
            '\\' => result.push_str("\\\\"),
            other if brackets => result.push(other),
            '[' => {
                brackets = true;
                result.push('[');
            }
            '%' => result.push_str(".*"),
            '_' => result.push('.'),
            '(' => result.push_str("(?:"),
            '.' | '^' | '$' => result.extend(['\\', character]),
            other => result.push(other),
        }
    }
    result.push_str(")$");
    string(result)
}
