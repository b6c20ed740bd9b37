//! PostgreSQL's regular expressions ("advanced", after Tcl) in the syntax of the `regex` crate.
//!
//! Back references and look-around are refused: the engine runs in linear time, whatever the pattern.

use annulus_relation::{SqlError, SqlResult, SqlState};

use super::super::args::invalid;

/// How a pattern is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `i`: without regard to case.
    pub ignore_case: bool,
    /// `n`, `p`: neither `.` nor a negated class match a newline.
    pub newline_stops: bool,
    /// `n`, `w`: `^` and `$` match at lines.
    pub line_anchors: bool,
    /// `x`: white space and comments are passed over.
    pub expanded: bool,
    /// `q`: the pattern is a plain string.
    pub literal: bool,
    /// `g`: all matches.
    pub global: bool,
}

impl Options {
    /// The options that letters mean.
    pub fn parse(letters: &str) -> SqlResult<Self> {
        letters.chars().try_fold(Self::default(), Self::with)
    }

    fn with(mut self, letter: char) -> SqlResult<Self> {
        match letter {
            'g' => self.global = true,
            'i' => self.ignore_case = true,
            'c' => self.ignore_case = false,
            'n' | 'm' => (self.newline_stops, self.line_anchors) = (true, true),
            's' => (self.newline_stops, self.line_anchors) = (false, false),
            'p' => (self.newline_stops, self.line_anchors) = (true, false),
            'w' => (self.newline_stops, self.line_anchors) = (false, true),
            'x' => self.expanded = true,
            't' => self.expanded = false,
            'q' => self.literal = true,
            'e' => {}
            'b' => return Err(SqlError::unsupported("a basic regular expression (option b)")),
            other => return Err(invalid(format!("invalid regular expression option: \"{other}\""))),
        }
        Ok(self)
    }
}

/// A pattern translated.
pub struct Translated {
    /// In the crate's syntax.
    pub pattern: String,
    /// How it is read.
    pub options: Options,
    /// Whether it prefers the longest match: PostgreSQL decides that for the whole.
    pub greedy: bool,
}

/// `2201B`
pub fn bad(reason: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_REGULAR_EXPRESSION, format!("invalid regular expression: {reason}"))
}

/// The pattern in the crate's syntax.
pub fn translate(pattern: &str, options: Options) -> SqlResult<Translated> {
    let (pattern, options) = prefix(pattern, options)?;
    if options.literal {
        return Ok(Translated { pattern: regex::escape(pattern), options, greedy: true });
    }
    let mut reader = Reader {
        rest: pattern.chars().peekable(),
        out: String::new(),
        options,
        groups: vec![Group::default()],
        atom: None,
    };
    let greedy = reader.run()?.unwrap_or(true);
    Ok(Translated { pattern: reader.out, options, greedy })
}

/// `***=`, `***:` and `(?letters)` in front of a pattern.
fn prefix(pattern: &str, mut options: Options) -> SqlResult<(&str, Options)> {
    if let Some(literal) = pattern.strip_prefix("***=") {
        options.literal = true;
        return Ok((literal, options));
    }
    let mut pattern = pattern.strip_prefix("***:").unwrap_or(pattern);
    if pattern.starts_with("***") {
        return Err(bad("quantifier operand invalid"));
    }
    if let Some(rest) = pattern.strip_prefix("(?")
        && rest.starts_with(|c: char| c.is_ascii_alphabetic())
    {
        let (letters, after) = rest.split_once(')').ok_or_else(|| bad("invalid embedded option"))?;
        for letter in letters.chars() {
            options = options.with(letter).map_err(|_| bad("invalid embedded option"))?;
        }
        pattern = after;
    }
    Ok((pattern, options))
}

struct Reader<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    out: String,
    options: Options,
    /// The whole, and the groups that are open in it.
    groups: Vec<Group>,
    /// Whether the last atom is greedy, as far as it says so.
    atom: Option<bool>,
}

/// What decides whether a group, or the whole, prefers long matches: alternatives do, else its first atom that says so.
#[derive(Default)]
struct Group {
    greedy: Option<bool>,
    alternatives: bool,
}

impl Group {
    fn preference(&self) -> Option<bool> {
        if self.alternatives { Some(true) } else { self.greedy }
    }
}

impl Reader<'_> {
    /// Translates it all; gives the whole's preference.
    fn run(&mut self) -> SqlResult<Option<bool>> {
        let mut atom = false;
        while let Some(character) = self.rest.next() {
            if !matches!(character, '*' | '+' | '?' | '{') {
                self.settle();
            }
            atom = match character {
                '\\' => self.escape()?,
                '[' => self.brackets()?,
                '(' => self.open()?,
                ')' => self.close()?,
                '|' => self.alternative(),
                '*' | '+' | '?' => self.quantifier(atom, &character.to_string())?,
                '{' if self.rest.peek().is_some_and(char::is_ascii_digit) => {
                    let bounds = self.bounds()?;
                    self.quantifier(atom, &bounds)?
                }
                '^' | '$' => {
                    self.out.push(character);
                    false
                }
                '.' => {
                    self.out.push('.');
                    true
                }
                ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c' if self.options.expanded => atom,
                '#' if self.options.expanded => {
                    self.rest.by_ref().find(|c| *c == '\n');
                    atom
                }
                plain => {
                    self.out.push_str(&regex::escape(plain.encode_utf8(&mut [0; 4])));
                    true
                }
            };
        }
        self.settle();
        match self.groups.as_slice() {
            [whole] => Ok(whole.preference()),
            _ => Err(bad("parentheses () not balanced")),
        }
    }

    /// The last atom has no quantifier to come.
    fn settle(&mut self) {
        let atom = self.atom.take();
        if let Some(group) = self.groups.last_mut() {
            group.greedy = group.greedy.or(atom);
        }
    }

    fn open(&mut self) -> SqlResult<bool> {
        self.groups.push(Group::default());
        if self.rest.peek() != Some(&'?') {
            self.out.push('(');
            return Ok(false);
        }
        self.rest.next();
        match self.rest.next() {
            Some(':') => self.out.push_str("(?:"),
            Some('#') => {
                self.groups.pop();
                self.rest.by_ref().find(|c| *c == ')');
            }
            Some('=' | '!' | '<') => return Err(SqlError::unsupported("look-around in regular expressions")),
            _ => return Err(bad("quantifier operand invalid")),
        }
        Ok(false)
    }

    fn close(&mut self) -> SqlResult<bool> {
        if self.groups.len() < 2 {
            return Err(bad("parentheses () not balanced"));
        }
        self.atom = self.groups.pop().and_then(|group| group.preference());
        self.out.push(')');
        Ok(true)
    }

    fn alternative(&mut self) -> bool {
        if let Some(group) = self.groups.last_mut() {
            group.alternatives = true;
        }
        self.out.push('|');
        false
    }

    fn quantifier(&mut self, atom: bool, quantifier: &str) -> SqlResult<bool> {
        if !atom {
            return Err(bad("quantifier operand invalid"));
        }
        self.out.push_str(quantifier);
        let lazy = self.rest.peek() == Some(&'?');
        if lazy {
            self.rest.next();
            self.out.push('?');
        }
        let fixed = quantifier.starts_with('{') && !quantifier.contains(',');
        if !fixed {
            self.atom = Some(!lazy);
        }
        Ok(false)
    }

    fn bounds(&mut self) -> SqlResult<String> {
        let mut text = String::from("{");
        loop {
            match self.rest.next() {
                Some(c) if c.is_ascii_digit() || c == ',' => text.push(c),
                Some('}') => break,
                Some(_) => return Err(bad("invalid repetition count(s)")),
                None => return Err(bad("braces {} not balanced")),
            }
        }
        let numbers: Vec<Option<u32>> =
            text[1..].split(',').map(|n| if n.is_empty() { Some(0) } else { n.parse().ok() }).collect();
        let valid = match numbers.as_slice() {
            [Some(0..=255)] => true,
            [Some(low @ 0..=255), Some(high @ 0..=255)] => low <= high || text.ends_with(','),
            _ => false,
        };
        if !valid {
            return Err(bad("invalid repetition count(s)"));
        }
        text.push('}');
        Ok(text)
    }

    /// What follows a backslash outside of brackets.
    fn escape(&mut self) -> SqlResult<bool> {
        let letter = self.rest.next().ok_or_else(|| bad("invalid escape \\ sequence"))?;
        let anchor = match letter {
            'A' => Some("\\A"),
            'Z' => Some("\\z"),
            'y' => Some("\\b"),
            'Y' => Some("\\B"),
            'm' => Some("\\b{start}"),
            'M' => Some("\\b{end}"),
            _ => None,
        };
        if let Some(anchor) = anchor {
            self.out.push_str(anchor);
            return Ok(false);
        }
        match letter {
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => self.out.push_str(class(letter)),
            '1'..='9' => return Err(SqlError::unsupported("a back reference in regular expressions")),
            other => {
                let character = self.escaped(other)?;
                self.out.push_str(&regex::escape(character.encode_utf8(&mut [0; 4])));
            }
        }
        Ok(true)
    }

    /// The character that an escape means.
    fn escaped(&mut self, letter: char) -> SqlResult<char> {
        Ok(match letter {
            'a' => '\x07',
            'b' => '\x08',
            'B' => '\\',
            'e' => '\x1b',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            '0' => '\0',
            'c' => {
                let control = self.rest.next().ok_or_else(|| bad("invalid escape \\ sequence"))?;
                char::from_u32(u32::from(control) & 31).unwrap_or('\0')
            }
            'u' => self.hexadecimal(4)?,
            'U' => self.hexadecimal(8)?,
            'x' => self.hexadecimal(2)?,
            other if other.is_alphanumeric() => return Err(bad("invalid escape \\ sequence")),
            other => other,
        })
    }

    fn hexadecimal(&mut self, digits: usize) -> SqlResult<char> {
        let mut code = 0;
        for _ in 0..digits {
            let digit = self.rest.next().and_then(|c| c.to_digit(16));
            code = code * 16 + digit.ok_or_else(|| bad("invalid escape \\ sequence"))?;
        }
        char::from_u32(code).ok_or_else(|| bad("invalid escape \\ sequence"))
    }

    /// A bracket expression.
    fn brackets(&mut self) -> SqlResult<bool> {
        let unbalanced = || bad("brackets [] not balanced");
        self.out.push('[');
        if self.rest.peek() == Some(&'^') {
            self.rest.next();
            self.out.push('^');
            if self.options.newline_stops {
                self.out.push_str("\\n");
            }
        }
        let mut first = true;
        loop {
            match self.rest.next().ok_or_else(unbalanced)? {
                ']' if !first => break,
                '[' if matches!(self.rest.peek(), Some(':' | '.' | '=')) => {
                    if self.bracket_class()? {
                        return Ok(false);
                    }
                }
                '\\' => {
                    let letter = self.rest.next().ok_or_else(unbalanced)?;
                    if matches!(letter, 'd' | 's' | 'w') {
                        self.out.push_str(class(letter));
                    } else {
                        let character = self.escaped(letter)?;
                        self.push_in_class(character);
                    }
                }
                '-' if first || self.rest.peek() == Some(&']') => self.out.push_str("\\-"),
                '-' => self.out.push('-'),
                other => self.push_in_class(other),
            }
            first = false;
        }
        self.out.push(']');
        Ok(true)
    }

    fn push_in_class(&mut self, character: char) {
        if matches!(character, '[' | ']' | '^' | '&' | '~' | '-' | '\\') {
            self.out.push('\\');
        }
        self.out.push(character);
    }

    /// `[:name:]`, `[.x.]`, `[=x=]` within brackets; whether it was `[[:<:]]` or `[[:>:]]`, which is an anchor.
    fn bracket_class(&mut self) -> SqlResult<bool> {
        let kind = self.rest.next().unwrap_or(':');
        let mut name = String::new();
        loop {
            let character = self.rest.next().ok_or_else(|| bad("brackets [] not balanced"))?;
            if character == kind && self.rest.peek() == Some(&']') {
                self.rest.next();
                break;
            }
            name.push(character);
        }
        match (kind, name.as_str()) {
            (':', "<" | ">") if self.out.ends_with('[') && self.rest.next() == Some(']') => {
                self.out.pop();
                self.out.push_str(if name == "<" { "\\b{start}" } else { "\\b{end}" });
                return Ok(true);
            }
            (':', "digit") => self.out.push_str("0-9"),
            (':', "alpha") => self.out.push_str("\\p{Alphabetic}"),
            (':', "alnum") => self.out.push_str("\\p{Alphabetic}\\p{Nd}"),
            (':', "upper") => self.out.push_str("\\p{Uppercase}"),
            (':', "lower") => self.out.push_str("\\p{Lowercase}"),
            (':', "space") => self.out.push_str("\\s"),
            (':', "word") => self.out.push_str("\\w"),
            (':', "blank" | "cntrl" | "graph" | "print" | "punct" | "xdigit") => {
                self.out.push_str(&format!("[:{name}:]"));
            }
            (':', _) => return Err(bad("invalid character class")),
            (_, one) if one.chars().count() == 1 => one.chars().for_each(|c| self.push_in_class(c)),
            _ => return Err(bad("invalid collating element")),
        }
        Ok(false)
    }
}

const fn class(letter: char) -> &'static str {
    match letter {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => "\\s",
        'S' => "\\S",
        'w' => "\\w",
        _ => "\\W",
    }
}
