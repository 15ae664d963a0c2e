//! `DELETE /users/{user_id}`: the account, its sessions and its recording are gone.

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
    session::Caller,
    users::Users,
};
use utoipa::ToSchema;

use crate::reauth::Reauthenticator;

/// The body.
#[derive(Deserr, ToSchema)]
#[deserr(error = ValidationErrors)]
pub struct DeleteAccount {
    password: PasswordInput,
}

/// Deletes the account, in an order that a crash cannot turn into something left behind: its code stays used,
/// then the recording goes, and the document that names them goes last.
#[utoipa::path(
    delete,
    path = "/users/{user_id}",
    operation_id = "deleteAccount",
    request_body = DeleteAccount,
    responses((status = 204)),
    security(("bearer" = [])),
    extensions(("x-codes" = json!(["invalid_credentials", "too_many_attempts"]))),
)]
pub async fn delete(
    State(users): State<Users>,
    State(codes): State<ActivationCodes>,
    State(recordings): State<ObjectStore>,
    State(owner): State<Reauthenticator>,
    caller: Caller,
    ip: ClientIp,
    Json(body): Json<DeleteAccount>,
) -> Result<StatusCode, Error> {
    let user = users.find_by_session(&caller).await?;
    owner.confirm(&caller, &user, &body.password, &ip).await?;
    if let Some(code) = &user.activation_code {
        codes.mark_used(code, user.id).await?;
    }
    if let Some(upload) = &user.pending_upload {
        recordings.delete_upload(upload).await?;
    }
    for replay in &user.replays {
        recordings.delete_replay(user.id, replay.lease_id).await?;
    }
    recordings.delete(user.id).await?;
    let last = users.delete(&caller).await?;
    // A perform may have ended meanwhile. One that ends from now on finds no account, and deletes its audio itself.
    let known: HashSet<ObjectId> = user.replays.iter().map(|replay| replay.lease_id).collect();
    for replay in last.into_iter().flat_map(|user| user.replays) {
        if !known.contains(&replay.lease_id) {
            recordings.delete_replay(user.id, replay.lease_id).await?;
        }
    }
    Ok(StatusCode::NO_CONTENT)
}
