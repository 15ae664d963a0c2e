//! What takes more than a token: the caller proves to be the owner with the password.

use shared::{
    client_ip::ClientIp,
    error::Error,
    password::{PasswordInput, Passwords},
    rate_limit::{Attempt, RateLimiter},
    session::Caller,
    users::User,
};

/// Checks that a caller knows their password.
#[derive(Clone)]
pub struct Reauthenticator {
    /// Checks the hash.
    pub passwords: Passwords,
    /// Counts the guesses.
    pub attempts: RateLimiter,
}

impl Reauthenticator {
    /// Refuses a wrong password. Counted for each session: who stole a token may guess no faster than at the
    /// login, and cannot lock the owner's other sessions out.
    pub async fn confirm(
        &self,
        caller: &Caller,
        user: &User,
        password: &PasswordInput,
        ip: &ClientIp,
    ) -> Result<(), Error> {
        self.attempts.on_account(Attempt::Confirmation, &caller.session_id, ip).await?;
        if self.passwords.verify(password, Some(&user.password_hash)).await? {
            Ok(())
        } else {
            Err(Error::InvalidCredentials)
        }
    }
}
