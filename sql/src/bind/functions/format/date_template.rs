//! Templates of dates and times: `YYYY-MM-DD HH24:MI:SS`.

/// What a part of a template stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `HH24`
    Hour24,
    /// `HH`, `HH12`
    Hour12,
    /// `MI`
    Minute,
    /// `SS`
    Second,
    /// `MS`
    Millisecond,
    /// `US`
    Microsecond,
    /// `FF1` to `FF6`: so many digits of the second's fraction.
    Fraction(u32),
    /// `SSSS`, `SSSSS`: seconds since midnight.
    SecondOfDay,
    /// `AM`, `pm` ...
    Meridiem {
        /// With dots.
        dots: bool,
    },
    /// `BC`, `ad` ...
    Era {
        /// With dots.
        dots: bool,
    },
    /// `YYYY`, `YYY`, `YY`, `Y`: the last so many digits of the year.
    Year(usize),
    /// `Y,YYY`
    YearWithComma,
    /// `IYYY` ...: of the year to which the ISO week belongs.
    IsoYear(usize),
    /// `MONTH`
    MonthName,
    /// `MON`
    MonthShort,
    /// `MM`
    Month,
    /// `RM`
    RomanMonth,
    /// `DAY`
    DayName,
    /// `DY`
    DayShort,
    /// `DDD`
    DayOfYear,
    /// `IDDD`
    IsoDayOfYear,
    /// `DD`
    Day,
    /// `D`: Sunday is 1.
    DayOfWeek,
    /// `ID`: Monday is 1.
    IsoDayOfWeek,
    /// `W`
    WeekOfMonth,
    /// `WW`
    WeekOfYear,
    /// `IW`
    IsoWeek,
    /// `CC`
    Century,
    /// `J`
    Julian,
    /// `Q`
    Quarter,
    /// `TZ`
    ZoneName,
    /// `TZH`
    ZoneHours,
    /// `TZM`
    ZoneMinutes,
    /// `OF`
    ZoneOffset,
}

impl Field {
    /// Whether it is a part of a time of day.
    pub const fn is_of_time(self) -> bool {
        matches!(
            self,
            Self::Hour24 | Self::Hour12 | Self::Minute | Self::Second | Self::Millisecond | Self::Microsecond
        ) || matches!(self, Self::Fraction(_) | Self::SecondOfDay | Self::Meridiem { .. })
    }

    /// Its keyword, as a template writes it.
    pub fn keyword(self, case: Case) -> String {
        let word = KEYWORDS.iter().find(|(_, field)| *field == self).map_or("", |(word, _)| *word);
        match case {
            Case::Upper => word.to_owned(),
            Case::Capital => capital(word),
            Case::Lower => word.to_ascii_lowercase(),
        }
    }
}

/// How letters are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// `MONTH`
    Upper,
    /// `Month`
    Capital,
    /// `month`
    Lower,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A field.
    Field {
        /// Which.
        field: Field,
        /// As its keyword is written.
        case: Case,
        /// `FM`: neither padded with blanks nor with zeros.
        fill: bool,
        /// `TH` or `th` behind it.
        ordinal: Option<bool>,
    },
    /// Text as it is.
    Text(char),
    /// Text in double quotes.
    Quoted(char),
    /// `FX`: from here on no blanks are passed over.
    Exact,
}

/// Keywords, longer ones before what they begin with.
const KEYWORDS: &[(&str, Field)] = &[
    ("A.D.", Field::Era { dots: true }),
    ("A.M.", Field::Meridiem { dots: true }),
    ("AD", Field::Era { dots: false }),
    ("AM", Field::Meridiem { dots: false }),
    ("B.C.", Field::Era { dots: true }),
    ("BC", Field::Era { dots: false }),
    ("CC", Field::Century),
    ("DAY", Field::DayName),
    ("DDD", Field::DayOfYear),
    ("DD", Field::Day),
    ("DY", Field::DayShort),
    ("D", Field::DayOfWeek),
    ("FF1", Field::Fraction(1)),
    ("FF2", Field::Fraction(2)),
    ("FF3", Field::Fraction(3)),
    ("FF4", Field::Fraction(4)),
    ("FF5", Field::Fraction(5)),
    ("FF6", Field::Fraction(6)),
    ("HH24", Field::Hour24),
    ("HH12", Field::Hour12),
    ("HH", Field::Hour12),
    ("IDDD", Field::IsoDayOfYear),
    ("ID", Field::IsoDayOfWeek),
    ("IW", Field::IsoWeek),
    ("IYYY", Field::IsoYear(4)),
    ("IYY", Field::IsoYear(3)),
    ("IY", Field::IsoYear(2)),
    ("I", Field::IsoYear(1)),
    ("J", Field::Julian),
    ("MI", Field::Minute),
    ("MM", Field::Month),
    ("MONTH", Field::MonthName),
    ("MON", Field::MonthShort),
    ("MS", Field::Millisecond),
    ("OF", Field::ZoneOffset),
    ("P.M.", Field::Meridiem { dots: true }),
    ("PM", Field::Meridiem { dots: false }),
    ("Q", Field::Quarter),
    ("RM", Field::RomanMonth),
    ("SSSSS", Field::SecondOfDay),
    ("SSSS", Field::SecondOfDay),
    ("SS", Field::Second),
    ("TZH", Field::ZoneHours),
    ("TZM", Field::ZoneMinutes),
    ("TZ", Field::ZoneName),
    ("US", Field::Microsecond),
    ("WW", Field::WeekOfYear),
    ("W", Field::WeekOfMonth),
    ("Y,YYY", Field::YearWithComma),
    ("YYYY", Field::Year(4)),
    ("YYY", Field::Year(3)),
    ("YY", Field::Year(2)),
    ("Y", Field::Year(1)),
];

fn capital(word: &str) -> String {
    let (first, rest) = word.split_at(word.len().min(1));
    first.to_owned() + &rest.to_ascii_lowercase()
}

/// The keyword at the beginning of a text: all in upper or in lower case; names of days and months also capitalized.
fn keyword(rest: &str) -> Option<(usize, Field, Case)> {
    for (word, field) in KEYWORDS {
        let named = matches!(field, Field::DayName | Field::DayShort | Field::MonthName | Field::MonthShort);
        let case = if rest.starts_with(word) {
            Case::Upper
        } else if rest.starts_with(&word.to_ascii_lowercase()) {
            Case::Lower
        } else if named && rest.starts_with(&capital(word)) {
            Case::Capital
        } else {
            continue;
        };
        return Some((word.len(), *field, case));
    }
    None
}

/// Reads a template: its parts in order.
pub fn parse(mut rest: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    while let Some(first) = rest.chars().next() {
        let mut fill = false;
        // Prefixes: FM, FX, and TM, which changes nothing in what is read or written here.
        while let Some(prefix) = ["FM", "fm", "FX", "fx", "TM", "tm"].iter().find(|prefix| rest.starts_with(**prefix)) {
            fill |= prefix.eq_ignore_ascii_case("FM");
            if prefix.eq_ignore_ascii_case("FX") {
                parts.push(Part::Exact);
            }
            rest = &rest[2..];
        }
        if let Some((length, field, case)) = keyword(rest) {
            rest = &rest[length..];
            let ordinal = if rest.starts_with("TH") {
                Some(true)
            } else if rest.starts_with("th") {
                Some(false)
            } else {
                None
            };
            rest = if ordinal.is_some() { &rest[2..] } else { rest };
            parts.push(Part::Field { field, case, fill, ordinal });
        } else if let Some(quoted) = rest.strip_prefix('"') {
            rest = read_quoted(quoted, &mut parts);
        } else if let Some(escaped) = rest.strip_prefix("\\\"") {
            parts.push(Part::Text('"'));
            rest = escaped;
        } else if let Some(character) = rest.chars().next() {
            parts.push(Part::Text(character));
            rest = &rest[character.len_utf8()..];
        } else {
            debug_assert!(first.is_ascii(), "only prefixes were left");
        }
    }
    parts
}

fn read_quoted<'r>(text: &'r str, parts: &mut Vec<Part>) -> &'r str {
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => parts.push(Part::Quoted(characters.next().unwrap_or('\\'))),
            other => parts.push(Part::Quoted(other)),
        }
    }
    characters.as_str()
}

/// The months' names.
pub const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The days' names, from Sunday.
pub const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The months in Roman numerals.
pub const ROMAN_MONTHS: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];
