//! One connection, whatever protocol it speaks.

use annulus_base::rng::Rng;
use annulus_check::history::Step;

use super::Done;
use super::resp;
use super::sql;

/// What clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The Redis protocol.
    Resp,
    /// SQL over the PostgreSQL protocol.
    Sql(sql::Schema),
}

/// In which of the ways that a protocol has a transaction is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Over the Redis protocol.
    Resp(resp::Style),
    /// Over the PostgreSQL protocol.
    Sql(sql::Style),
}

impl Protocol {
    /// A manner that can express the program; `past`: what only reads may read the past.
    pub(crate) fn manner(self, program: &[Step], past: bool, rng: &mut Rng) -> Manner {
        match self {
            Self::Resp => Manner::Resp(resp::Style::any(program, rng)),
            Self::Sql(schema) => Manner::Sql(sql::Style::any(schema.layout, program, past, rng)),
        }
    }

    /// Connects to a node: at HOST:PORT, or in SQL as a connection string says.
    ///
    /// # Errors
    /// If the node cannot be reached or does not answer.
    pub(crate) fn connect(self, address: &str) -> Result<Session, String> {
        match self {
            Self::Resp => resp::Session::connect(address).map(Session::Resp).map_err(|error| error.to_string()),
            Self::Sql(schema) => {
                let connected = sql::Session::connect(address, schema.layout);
                connected.map(Session::Sql).map_err(|error| error.to_string())
            }
        }
    }
}

impl Manner {
    /// Whether a transaction can carry a token whose outcome tells if it was executed.
    pub(crate) fn tells_by_token(self, program: &[Step]) -> bool {
        program.iter().any(Step::changes)
            && match self {
                Self::Resp(style) => style.tells_by_token(program),
                Self::Sql(style) => style.tells_by_token(),
            }
    }

    /// The instant of the past that is read, as a timestamp of the cluster.
    pub(crate) const fn read_at(self) -> Option<u64> {
        match self {
            Self::Resp(_) => None,
            Self::Sql(style) => style.read_at(),
        }
    }
}

/// One connection to one node.
pub(crate) enum Session {
    /// That speaks the Redis protocol.
    Resp(resp::Session),
    /// That speaks the PostgreSQL protocol.
    Sql(sql::Session),
}

impl Session {
    /// Whether requests and answers still go together.
    pub const fn is_usable(&self) -> bool {
        match self {
            Self::Resp(session) => session.is_usable(),
            Self::Sql(session) => session.is_usable(),
        }
    }

    /// Asks for a transaction, in a manner of this protocol.
    pub fn execute(&mut self, prefix: &str, program: &[Step], manner: Manner, token: Option<&str>) -> Done {
        match (self, manner) {
            (Self::Resp(session), Manner::Resp(style)) => session.execute(prefix, program, style, token),
            (Self::Sql(session), Manner::Sql(style)) => session.execute(program, style, token),
            (Self::Resp(_), Manner::Sql(_)) | (Self::Sql(_), Manner::Resp(_)) => {
                unreachable!("one course speaks one protocol")
            }
        }
    }

    /// The name of the transaction that was executed last, and its commit timestamp, where this protocol tells.
    pub fn last(&mut self) -> Option<(String, u64)> {
        match self {
            Self::Resp(_) => None,
            Self::Sql(session) => session.last(),
        }
    }

    /// What became of the transaction of that name.
    ///
    /// # Errors
    /// If it could not be learned, and why.
    pub fn outcome(&mut self, name: &str) -> Result<String, String> {
        match self {
            Self::Resp(session) => session.outcome(name),
            Self::Sql(session) => session.outcome(name),
        }
    }
}
