//! `cargo ops admin USERNAME`: who may make activation codes and see the provider's account.

use std::io::Write;

use crate::{Deployment, Failure, Go, nothing_was_done};

/// Gives the role, or takes it away.
pub async fn set(
    deployment: &Deployment,
    username: &str,
    admin: bool,
    go: Go,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let users = deployment.users();
    let user = users.find_by_login(username).await?;
    let user = user.ok_or_else(|| Failure::Because(format!("There is no account {username}.")))?;
    let name = &user.username;
    let (is, becomes) =
        if admin { ("is an admin already", "an admin") } else { ("is no admin", "no admin any more") };
    if user.is_admin() == admin {
        writeln!(out, "{name} {is}.")?;
        return Ok(());
    }
    if !go.yes {
        writeln!(out, "{name} would be {becomes}.")?;
        return nothing_was_done(out);
    }
    users.set_admin(user.id, admin).await?;
    writeln!(out, "{name} is {becomes}.")?;
    Ok(())
}
