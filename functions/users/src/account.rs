//! `DELETE /users/{user_id}`: the account, its sessions and its recording are gone.

use axum::{extract::State, http::StatusCode};
use deserr::Deserr;
use shared::{
    activation_codes::ActivationCodes,
    error::Error,
    json::{Invalid, Json},
    password::{ClaimedPassword, Passwords},
    recordings::Recordings,
    session::Caller,
    users::Users,
};

/// The body.
#[derive(Deserr)]
#[deserr(error = Invalid)]
pub struct DeleteAccount {
    password: ClaimedPassword,
}

/// Deletes the account, in an order that a crash cannot turn into something left behind: its code stays used,
/// then the recording goes, and the document that names them goes last.
pub async fn delete(
    State(users): State<Users>,
    State(codes): State<ActivationCodes>,
    State(recordings): State<Recordings>,
    State(passwords): State<Passwords>,
    caller: Caller,
    Json(body): Json<DeleteAccount>,
) -> Result<StatusCode, Error> {
    let user = users.signed_in(&caller).await?;
    if !passwords.verify(&body.password, Some(&user.password_hash)).await? {
        return Err(Error::InvalidCredentials);
    }
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
    users.delete(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}
