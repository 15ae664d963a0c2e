//! `cargo ops admin USERNAME`: grants or revokes the admin role.

use std::io::Write;

use crate::{Confirm, Deployment, Failure, print_dry_run_hint};

pub async fn set_role(
    deployment: &Deployment,
    username: &str,
    admin: bool,
    confirm: Confirm,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    deployment.require_migrated().await?;
    let users = deployment.users();
    let user = users.find_by_login(username).await?;
    let user = user.ok_or_else(|| Failure::Other(format!("There is no account {username}.")))?;
    let name = &user.username;
    let (is, becomes) =
        if admin { ("is already an admin", "an admin") } else { ("is not an admin", "no longer an admin") };
    if user.is_admin() == admin {
        writeln!(out, "{name} {is}.")?;
        return Ok(());
    }
    if !confirm.yes {
        writeln!(out, "{name} would be {becomes}.")?;
        return print_dry_run_hint(out);
    }
    users.set_admin(user.id, admin).await?;
    writeln!(out, "{name} is {becomes}.")?;
    Ok(())
}
