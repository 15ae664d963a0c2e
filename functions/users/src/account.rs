//! `DELETE /users/{user_id}`.

use std::collections::HashSet;

use axum::{extract::State, http::StatusCode};
use deserr::Deserr;
use mongodb::bson::oid::ObjectId;
use shared::{
    activation_codes::ActivationCodes,
    client_ip::ClientIp,
    error::Error,
    json::{Json, ValidationErrors},
    object_store::ObjectStore,
    password::PasswordInput,
    security_log::{SecurityEvent, SecurityLog},
    session::Caller,
    users::{UsedCodes, Users},
};
use utoipa::ToSchema;

use crate::reauth::Reauthenticator;

#[derive(Deserr, ToSchema)]
#[deserr(error = ValidationErrors)]
pub struct DeleteAccount {
    password: PasswordInput,
}

/// Deletes the caller's account, sessions, recording and stored audio. Its activation code stays used.
#[utoipa::path(
    delete,
    path = "/users/{user_id}",
    operation_id = "deleteAccount",
    request_body = DeleteAccount,
    responses((status = 204)),
    security(("bearer" = [])),
    extensions(("x-codes" = json!(["invalid_credentials", "too_many_attempts"]))),
)]
#[expect(clippy::too_many_arguments, reason = "an extractor each")]
pub async fn delete(
    State(users): State<Users>,
    State(codes): State<ActivationCodes>,
    State(recordings): State<ObjectStore>,
    State(reauthenticator): State<Reauthenticator>,
    State(security_log): State<SecurityLog>,
    caller: Caller,
    ip: ClientIp,
    Json(body): Json<DeleteAccount>,
) -> Result<StatusCode, Error> {
    let user = users.find_by_session(&caller).await?;
    reauthenticator.verify_password(&caller, &user, &body.password, &ip).await?;
    // The document goes last: after a crash, it still names what is left to delete.
    for code in user.activation_code.iter().flat_map(UsedCodes::as_slice) {
        codes.mark_used(code, user.id).await?;
    }
    if let Some(upload) = &user.pending_upload {
        recordings.delete_upload(upload).await?;
    }
    for replay in &user.replays {
        recordings.delete_replay(user.id, replay.lease_id).await?;
    }
    recordings.delete(user.id).await?;
    let deleted = users.delete(&caller).await?;
    security_log.record(SecurityEvent::AccountDeleted, (&caller).into(), &ip);
    // A perform may have finished meanwhile. One that finishes later finds no account and deletes its audio itself.
    let done: HashSet<ObjectId> = user.replays.iter().map(|replay| replay.lease_id).collect();
    for replay in deleted.into_iter().flat_map(|user| user.replays) {
        if !done.contains(&replay.lease_id) {
            recordings.delete_replay(user.id, replay.lease_id).await?;
        }
    }
    Ok(StatusCode::NO_CONTENT)
}
