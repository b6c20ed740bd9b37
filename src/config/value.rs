//! The kinds of values that settings have: how each is written and read.
//!
//! Every source (file, environment, flag) delivers text, so a kind is read in one way everywhere.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tracing_subscriber::filter::Targets;

/// A kind of value.
pub trait Value: Sized {
    /// Whether the value stands in a TOML file without quotes.
    const BARE: bool = false;

    /// What may be written, for people.
    fn allowed() -> String;

    /// Reads what a person wrote; `None` if it is not allowed.
    fn parse(text: &str) -> Option<Self>;

    /// Writes it so that [`Value::parse`] reads the same value again.
    fn print(&self) -> String;
}

impl Value for bool {
    const BARE: bool = true;

    fn allowed() -> String {
        "true or false".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn print(&self) -> String {
        self.to_string()
    }
}

/// A whole number between two bounds, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number<const LOW: u64, const HIGH: u64>(u64);

impl<const LOW: u64, const HIGH: u64> Number<LOW, HIGH> {
    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number as a count of things in memory.
    #[must_use]
    pub fn count(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<const LOW: u64, const HIGH: u64> Value for Number<LOW, HIGH> {
    const BARE: bool = true;

    fn allowed() -> String {
        format!("a whole number from {LOW} to {HIGH}")
    }

    fn parse(text: &str) -> Option<Self> {
        let number = text.parse().ok()?;
        (LOW..=HIGH).contains(&number).then_some(Self(number))
    }

    fn print(&self) -> String {
        self.0.to_string()
    }
}

impl Value for PathBuf {
    fn allowed() -> String {
        "the path of a directory".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::from(text))
    }

    fn print(&self) -> String {
        self.display().to_string()
    }
}

/// A short name that is safe in logs, paths and protocols.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Value for Name {
    fn allowed() -> String {
        "1 to 64 letters, digits, '-', '_' or '.'".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let fits = (1..=64).contains(&text.len());
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        (fits && plain).then(|| Self(text.to_owned()))
    }

    fn print(&self) -> String {
        self.0.clone()
    }
}

impl Value for SocketAddr {
    fn allowed() -> String {
        "an IP address and a port, such as 127.0.0.1:7400 or [::1]:7400".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn print(&self) -> String {
        self.to_string()
    }
}

/// An address as others reach it: a host name or IP address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// Host name or IP address; an IPv6 address without brackets.
    pub host: String,
    /// Port, never 0.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl From<SocketAddr> for HostPort {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port() }
    }
}

impl Value for HostPort {
    fn allowed() -> String {
        "a host and a port, such as node1.example:7400, 10.0.0.1:7400 or [fd00::1]:7400".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return (address.port() != 0).then(|| address.into());
        }
        let (host, port) = text.rsplit_once(':')?;
        let named = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let port = port.parse().ok().filter(|port| *port != 0)?;
        named.then(|| Self { host: host.to_owned(), port })
    }

    fn print(&self) -> String {
        self.to_string()
    }
}

impl<T: Value> Value for Vec<T> {
    fn allowed() -> String {
        format!("a comma-separated list, each {}", T::allowed())
    }

    fn parse(text: &str) -> Option<Self> {
        if text.trim().is_empty() {
            return Some(Self::new());
        }
        text.split(',').map(|item| T::parse(item.trim())).collect()
    }

    fn print(&self) -> String {
        self.iter().map(Value::print).collect::<Vec<_>>().join(",")
    }
}

impl<T: Value> Value for Option<T> {
    fn allowed() -> String {
        format!("{}; or empty", T::allowed())
    }

    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() { Some(None) } else { T::parse(text).map(Some) }
    }

    fn print(&self) -> String {
        self.as_ref().map(Value::print).unwrap_or_default()
    }
}

/// Longest duration that is allowed.
const MAX_DURATION: Duration = Duration::from_secs(366 * 24 * 60 * 60);

impl Value for Duration {
    fn allowed() -> String {
        "a duration with its unit, such as '10 min', '5 s' or '500 ms', from 1 ms to 366 days".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let duration = humantime::parse_duration(text).ok()?;
        (Self::from_millis(1)..=MAX_DURATION).contains(&duration).then_some(duration)
    }

    fn print(&self) -> String {
        humantime::format_duration(*self).to_string()
    }
}

/// An amount of memory or disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Size {
    /// The size as a length in memory.
    #[must_use]
    pub fn count(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// From the largest to the smallest, so that printing finds the largest that fits.
const UNITS: [(&str, u64); 5] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl Value for Size {
    fn allowed() -> String {
        "a whole number of B, KiB, MiB, GiB or TiB, such as '64 MiB', at least 1 B".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = text[..digits].parse().ok()?;
        let unit = text[digits..].trim();
        let (_, bytes) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
        number.checked_mul(*bytes).filter(|size| *size > 0).map(Self)
    }

    fn print(&self) -> String {
        let unit = UNITS.iter().find(|(_, bytes)| self.0 >= *bytes && self.0.is_multiple_of(*bytes));
        let (name, bytes) = unit.unwrap_or(&("B", 1));
        format!("{} {name}", self.0 / bytes)
    }
}

/// How many replicas each partition has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplicationFactor(u8);

impl ReplicationFactor {
    /// 1, 3 or 5.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Value for ReplicationFactor {
    const BARE: bool = true;

    fn allowed() -> String {
        "1, 3 or 5".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        ["1", "3", "5"].contains(&text).then(|| text.parse().ok().map(Self))?
    }

    fn print(&self) -> String {
        self.0.to_string()
    }
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $( $(#[$item_doc:meta])* $item:ident = $text:literal ),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $( $(#[$item_doc])* $item ),+ }

        impl Value for $name {
            fn allowed() -> String {
                format!("one of {}", [$($text),+].join(", "))
            }

            fn parse(text: &str) -> Option<Self> {
                match text {
                    $( $text => Some(Self::$item), )+
                    _ => None,
                }
            }

            fn print(&self) -> String {
                match self { $( Self::$item => $text ),+ }.to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.print())
            }
        }
    };
}

choice! {
    /// A storage engine.
    Engine {
        /// Log-structured merge tree; the default.
        Fjall = "fjall",
        /// B-tree; survives a kill, but may have to be refilled from its ring after a power loss.
        Sled = "sled",
        /// Everything in memory; durable by the vote log and snapshot files.
        Memory = "memory",
    }
}

choice! {
    /// How a namespace is cut into partitions.
    BasisKind {
        /// All of it on one replica ring.
        Name = "name",
        /// Into hash slots of its keys.
        Key = "key",
    }
}

choice! {
    /// The form of log lines.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

/// Which log lines are written.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLevel(Targets);

impl LogLevel {
    /// The filter for the subscriber.
    #[must_use]
    pub fn filter(&self) -> Targets {
        self.0.clone()
    }
}

impl Value for LogLevel {
    fn allowed() -> String {
        "off, error, warn, info, debug or trace, also per module: 'info,annulus::net=debug'".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let levels = ["off", "error", "warn", "info", "debug", "trace"];
        let known = |part: &str| levels.contains(&part.rsplit('=').next().unwrap_or_default());
        text.split(',').all(known).then(|| text.parse().ok().map(Self))?
    }

    fn print(&self) -> String {
        self.0.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survives<T: Value + PartialEq + fmt::Debug>(text: &str) {
        let value = T::parse(text).unwrap_or_else(|| panic!("'{text}' must be allowed"));
        assert_eq!(T::parse(&value.print()), Some(value), "{text}");
    }

    #[test]
    fn what_is_printed_can_be_read_again() {
        for text in ["10 min", "500 ms", "5s", "1h 30m", "366 days", "1ms"] {
            survives::<Duration>(text);
        }
        for text in ["64 MiB", "64MiB", "1 b", "3 tib", "1025 KiB"] {
            survives::<Size>(text);
        }
        for text in ["a.example:1", "127.0.0.1:80", "[::1]:9"] {
            survives::<HostPort>(text);
        }
        survives::<Vec<HostPort>>("a:1, b:2");
        survives::<Option<Name>>("");
        survives::<LogLevel>("info,annulus::net=debug");
        survives::<Engine>("sled");
        survives::<ReplicationFactor>("5");
    }

    #[test]
    fn units_are_required_and_meant() {
        assert_eq!(Duration::parse("10 min"), Some(Duration::from_secs(600)));
        assert_eq!(Size::parse("64 MiB"), Some(Size(64 << 20)));
        for text in ["10", "", "0 s", "-1 s", "10 parsec", "400 days", "999999999999999999999 s"] {
            assert_eq!(Duration::parse(text), None, "{text}");
        }
        for text in ["64", "", "MiB", "0 B", "1.5 MiB", "-1 B", "64 MB", "99999999999 TiB"] {
            assert_eq!(Size::parse(text), None, "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "a", "a:", ":1", "a:0", "a:99999", "a b:1", "127.0.0.1:0", "::1:80x"] {
            assert_eq!(HostPort::parse(text), None, "{text}");
        }
        for text in ["", "2", "03", "x"] {
            assert_eq!(ReplicationFactor::parse(text), None, "{text}");
        }
        for text in ["", "loud", "info,annulus=loud"] {
            assert_eq!(LogLevel::parse(text), None, "{text}");
        }
        assert_eq!(Name::parse("a/b"), None);
        assert_eq!(Name::parse(&"x".repeat(65)), None);
        assert_eq!(Number::<1, 5>::parse("6"), None);
        assert_eq!(Vec::<HostPort>::parse("a:1,,b:2"), None);
    }
}
