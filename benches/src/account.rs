//! Accounts of this machine: some servers refuse to run as root.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;
use std::process::Command;

use crate::failure::Failure;
use crate::server::bound_to_us;

/// Whom a server's programs are run as: ourselves, or if we are root, the user that its package makes.
pub struct Account {
    name: &'static str,
    /// The numbers of the user and of its group, if it is not ourselves.
    ids: Option<(u32, u32)>,
}

impl Account {
    /// The account for servers in a folder that we have made, which then is that account's.
    ///
    /// # Errors
    /// If the user is needed and does not exist; the remedy brings it.
    pub fn find(name: &'static str, dir: &Path, remedy: &'static str) -> Result<Self, Failure> {
        // Whoever made the folder runs this program.
        let is_root = fs::metadata(dir)?.uid() == 0;
        let account = Self { name, ids: if is_root { Some(ids_of(name, remedy)?) } else { None } };
        account.own(dir)?;
        Ok(account)
    }

    /// Gives a file or folder to the account.
    ///
    /// # Errors
    /// If that cannot be done.
    pub fn own(&self, path: &Path) -> Result<(), Failure> {
        if let Some((user, group)) = self.ids {
            chown(path, Some(user), Some(group))?;
        }
        Ok(())
    }

    /// A command that ends when this program dies, run by the account.
    pub fn command(&self, program: &Path) -> Command {
        if self.ids.is_none() {
            return bound_to_us(program);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid", self.name, "--regid", self.name, "--init-groups", "--pdeathsig", "TERM", "--"]);
        command.arg(program);
        command
    }
}

/// The numbers of a user and of its group.
fn ids_of(name: &str, remedy: &'static str) -> Result<(u32, u32), Failure> {
    let table = fs::read_to_string("/etc/passwd")?;
    let find = || {
        let mut fields = table.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?.split(':').skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    find().ok_or_else(|| Failure::Missing { program: format!("user {name}"), remedy })
}
