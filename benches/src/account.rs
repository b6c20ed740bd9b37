//! Accounts of this machine: some servers refuse to run as root.

use std::fs;

use crate::failure::Failure;

/// The numbers of a user and of its group.
///
/// # Errors
/// If there is no such user, whom the remedy brings.
pub fn account_of(name: &str, remedy: &'static str) -> Result<(u32, u32), Failure> {
    let table = fs::read_to_string("/etc/passwd")?;
    let find = || {
        let mut fields = table.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?.split(':').skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    find().ok_or_else(|| Failure::Missing { program: format!("user {name}"), remedy })
}
