//! The trail of security events: one log line each, with ids and a keyed hash of the address, and never the address, a
//! name or a secret. What alarms watch is a metric too.

use std::time::SystemTime;

use aws_lc_rs::hmac;
use metrique::{CloseValue as _, RootEntry, unit_of_work::metrics};
use mongodb::bson::oid::ObjectId;
use secrecy::ExposeSecret as _;

use crate::{
    client_ip::ClientIp,
    clock::Clock,
    env::{Env, EnvError},
    session::Caller,
};

/// Hex digits of an address's hash: enough to tell addresses apart.
const SOURCE_DIGITS: usize = 16;

/// The name of an event is what the log line says in `event`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityEvent {
    Registered,
    SignIn,
    SignInFailed,
    SignOut,
    /// An old refresh token was used again, and its session has ended.
    RefreshReuse,
    PasswordChanged,
    EmailChanged,
    PasswordReset,
    PasswordResetRefused,
    /// A wrong password where a signed-in user had to give it.
    ConfirmationFailed,
    AccountDeleted,
    CodesIssued,
}

impl SecurityEvent {
    fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::SignIn => "sign_in",
            Self::SignInFailed => "sign_in_failed",
            Self::SignOut => "sign_out",
            Self::RefreshReuse => "refresh_reuse",
            Self::PasswordChanged => "password_changed",
            Self::EmailChanged => "email_changed",
            Self::PasswordReset => "password_reset",
            Self::PasswordResetRefused => "password_reset_refused",
            Self::ConfirmationFailed => "confirmation_failed",
            Self::AccountDeleted => "account_deleted",
            Self::CodesIssued => "codes_issued",
        }
    }
}

/// Writes the trail of one function. Cheap to clone.
#[derive(Clone)]
pub struct SecurityLog {
    key: hmac::Key,
    stage: String,
    function: &'static str,
    clock: Clock,
}

/// Whom an event is about, as far as it is known.
#[derive(Clone, Copy, Default)]
pub struct Subject<'a> {
    pub user_id: Option<ObjectId>,
    pub session_id: Option<&'a str>,
}

/// What the alarms watch.
#[metrics(emf::dimension_sets = [["Stage", "Function"]], rename_all = "PascalCase")]
struct SecurityMetrics {
    #[metrics(timestamp)]
    at: SystemTime,
    stage: String,
    function: &'static str,
    failed_sign_ins: Option<u64>,
    refused_resets: Option<u64>,
}

impl SecurityLog {
    /// The key of the hashes is derived from `MONGODB_URI`, a secret that all functions have, so that one address has one
    /// hash in all of their logs until the database's password changes. Unkeyed, a list of all addresses would undo them.
    pub fn from_env(env: &Env, function: &'static str, clock: Clock) -> Result<Self, EnvError> {
        let secret = env.secret("MONGODB_URI")?;
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
        let key = hmac::sign(&secret, b"newvisions security log");
        Ok(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()),
            stage: env.stage().to_owned(),
            function,
            clock,
        })
    }

    pub fn record(&self, event: SecurityEvent, subject: Subject<'_>, ip: &ClientIp) {
        let mut source = hex::encode(hmac::sign(&self.key, ip.as_str().as_bytes()));
        source.truncate(SOURCE_DIGITS);
        let name = event.name();
        tracing::info!(
            event = name,
            user_id = subject.user_id.map(ObjectId::to_hex),
            session_id = subject.session_id,
            source,
            "security event: {name}"
        );
        let counts = |counted: SecurityEvent| (event == counted).then_some(1);
        let metrics = SecurityMetrics {
            at: self.clock.now().to_system_time(),
            stage: self.stage.clone(),
            function: self.function,
            failed_sign_ins: counts(SecurityEvent::SignInFailed),
            refused_resets: counts(SecurityEvent::PasswordResetRefused),
        };
        if metrics.failed_sign_ins.or(metrics.refused_resets).is_some() {
            crate::metrics::emit(&RootEntry::new(metrics.close()));
        }
    }
}

impl<'a> From<&'a Caller> for Subject<'a> {
    fn from(caller: &'a Caller) -> Self {
        Self { user_id: Some(caller.user_id), session_id: Some(&caller.session_id) }
    }
}
