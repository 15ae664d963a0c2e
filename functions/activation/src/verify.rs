//! `POST /activation/verify`.

use axum::extract::State;
use deserr::Deserr;
use serde::Serialize;
use shared::{
    activation_codes::{ActivationCode, ActivationCodes},
    client_ip::ClientIp,
    error::Error,
    json::{Json, ValidationErrors},
    migration::MigrationCheck,
    rate_limit::{Attempt, RateLimiter, Source},
    users::Users,
};
use utoipa::ToSchema;

// `code` is a string, because a malformed code is not an error here: it is merely not valid.
#[derive(Deserr, ToSchema)]
#[deserr(error = ValidationErrors)]
pub struct Verify {
    #[schema(example = "PUT11CODE42")]
    code: String,
}

#[derive(Serialize, ToSchema)]
pub struct VerifyResponse {
    valid: bool,
}

/// Tells whether an activation code can be used to register.
///
/// Unknown, used and malformed codes get the same response.
#[utoipa::path(
    post,
    path = "/activation/verify",
    operation_id = "verifyActivationCode",
    request_body = Verify,
    responses((status = 200, body = VerifyResponse)),
    extensions(("x-codes" = json!(["too_many_attempts", "database_not_migrated"]))),
)]
pub async fn verify(
    State(codes): State<ActivationCodes>,
    State(users): State<Users>,
    State(rate_limiter): State<RateLimiter>,
    State(migration): State<MigrationCheck>,
    ip: ClientIp,
    Json(body): Json<Verify>,
) -> Result<Json<VerifyResponse>, Error> {
    let Ok(code) = ActivationCode::try_from(body.code) else {
        return Ok(Json(VerifyResponse { valid: false }));
    };
    let (issued, has_made_account, ()) = tokio::try_join!(
        codes.find(&code),
        users.has_used(&code),
        rate_limiter.check(Attempt::ActivationCode, "", Source::Address(&ip)),
    )?;
    match issued {
        Some(issued) => Ok(Json(VerifyResponse { valid: !issued.is_used() && !has_made_account })),
        None if migration.is_pending().await? => Err(Error::DatabaseNotMigrated),
        None => Ok(Json(VerifyResponse { valid: false })),
    }
}
