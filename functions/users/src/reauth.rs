//! Re-authentication: sensitive actions require the password as well as the access token.

use shared::{
    client_ip::ClientIp,
    error::Error,
    password::{PasswordInput, Passwords},
    rate_limit::{Attempt, RateLimiter, Source},
    security_log::{SecurityEvent, SecurityLog},
    session::Caller,
    users::User,
};

#[derive(Clone)]
pub struct Reauthenticator {
    pub passwords: Passwords,
    pub rate_limiter: RateLimiter,
    pub security_log: SecurityLog,
}

impl Reauthenticator {
    /// Returns [`Error::InvalidCredentials`] for a wrong password. Attempts are limited per session: a stolen token allows no
    /// faster guessing than the login does, and cannot lock out the owner's other sessions.
    pub async fn verify_password(
        &self,
        caller: &Caller,
        user: &User,
        password: &PasswordInput,
        ip: &ClientIp,
    ) -> Result<(), Error> {
        self.rate_limiter.check(Attempt::Confirmation, &caller.session_id, Source::Address(ip)).await?;
        if self.passwords.verify(password, Some(&user.password_hash)).await?.is_some() {
            Ok(())
        } else {
            self.security_log.record(SecurityEvent::ConfirmationFailed, caller.into(), ip);
            Err(Error::InvalidCredentials)
        }
    }
}
