//! Every error of Annulus belongs to one class, which says what to do about it.

/// What the receiver of an error should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// Nothing was changed; the same request may succeed when sent again.
    Retry,
    /// Nothing was changed; not enough replicas answer. Retry later or ask another node.
    Unavailable,
    /// The outcome is not known yet; ask for it by the transaction id before retrying.
    Unknown,
    /// The request is wrong; sending it again cannot help.
    Invalid,
    /// A documented limit was exceeded; nothing was changed.
    Limit,
    /// Not permitted.
    Denied,
    /// This node cannot go on safely and stops.
    Halt,
}

impl ErrorClass {
    /// Whether the request certainly had no effect.
    #[must_use]
    pub const fn not_executed(self) -> bool {
        !matches!(self, Self::Unknown | Self::Halt)
    }

    /// Whether sending the same request again can succeed.
    #[must_use]
    pub const fn may_retry(self) -> bool {
        matches!(self, Self::Retry | Self::Unavailable)
    }
}
