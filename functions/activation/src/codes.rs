//! `POST /activation/codes`, for admins.

use axum::{extract::State, http::StatusCode};
use deserr::Deserr;
use serde::Serialize;
use shared::{
    activation_codes::{ActivationCode, ActivationCodes},
    client_ip::ClientIp,
    error::Error,
    json::{Json, ValidationError, ValidationErrors, integer_from_f64},
    migration::MigrationCheck,
    security_log::{SecurityEvent, SecurityLog},
    session::Caller,
    users::Users,
};
use utoipa::ToSchema;

#[derive(Deserr, ToSchema)]
#[deserr(error = ValidationErrors)]
pub struct IssueCodes {
    count: Count,
}

/// 1–1000.
#[derive(Deserr, ToSchema)]
#[deserr(try_from(f64) = Self::try_from -> ValidationError)]
#[schema(value_type = i64, minimum = 1, maximum = 1000, example = 10)]
struct Count(usize);

#[derive(Serialize, ToSchema)]
pub struct IssuedCodes {
    #[schema(value_type = Vec<ActivationCode>)]
    codes: Vec<String>,
}

/// Issues new activation codes. Only for admins.
#[utoipa::path(
    post,
    path = "/activation/codes",
    operation_id = "issueActivationCodes",
    request_body = IssueCodes,
    responses((status = 201, body = IssuedCodes)),
    security(("bearer" = [])),
    extensions(("x-codes" = json!(["forbidden", "database_not_migrated"]))),
)]
pub async fn issue(
    State(users): State<Users>,
    State(codes): State<ActivationCodes>,
    State(migration): State<MigrationCheck>,
    State(security_log): State<SecurityLog>,
    caller: Caller,
    ip: ClientIp,
    Json(body): Json<IssueCodes>,
) -> Result<(StatusCode, Json<IssuedCodes>), Error> {
    // The role is read from the database, so that revoking it takes effect at once.
    if !users.find_by_session(&caller).await?.is_admin() {
        return Err(Error::Forbidden);
    }
    let issued = (0..body.count.0).map(|_| ActivationCode::random()).collect::<Result<Vec<_>, _>>()?;
    if let Err(error) = codes.issue(&issued).await {
        // The earlier backend's unique index refuses the second code of today's form.
        return Err(migration.explain(error).await);
    }
    security_log.record(SecurityEvent::CodesIssued, (&caller).into(), &ip);
    let codes = issued.iter().map(|code| code.as_str().to_owned()).collect();
    Ok((StatusCode::CREATED, Json(IssuedCodes { codes })))
}

impl TryFrom<f64> for Count {
    type Error = ValidationError;

    fn try_from(count: f64) -> Result<Self, ValidationError> {
        match integer_from_f64(count).map(usize::try_from) {
            Some(Ok(count @ 1..=1000)) => Ok(Self(count)),
            _ => Err(ValidationError("must be a whole number from 1 to 1000")),
        }
    }
}
