//! `cargo ops clone-limit USERNAME [LIMIT]`: the voice creations that one account may spend in a month.

use std::io::Write;

use crate::{Confirm, Deployment, Failure, print_dry_run_hint};

pub async fn set(
    deployment: &Deployment,
    username: &str,
    limit: Option<i64>,
    confirm: Confirm,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let users = deployment.users();
    let user = users.find_by_login(username).await?;
    let user = user.ok_or_else(|| Failure::Other(format!("There is no account {username}.")))?;
    let describe = |limit: Option<i64>| {
        limit.map_or_else(|| String::from("the deployment's limit"), |limit| limit.to_string())
    };
    let (name, from, to) = (&user.username, describe(user.clone_limit), describe(limit));
    if !confirm.yes {
        writeln!(out, "{name}'s voice creations per month would change from {from} to {to}.")?;
        return print_dry_run_hint(out);
    }
    users.set_clone_limit(user.id, limit).await?;
    writeln!(out, "{name}'s voice creations per month: {to}, before {from}.")?;
    Ok(())
}
