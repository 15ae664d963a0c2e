//! The connection to MongoDB and the indexes that the stores rely on.

use std::{future::IntoFuture, io, time::Duration};

use mongodb::{
    Client, Database, IndexModel,
    bson::{Document, doc},
    error::{Error as MongoError, ErrorKind, WriteFailure},
    options::{ClientOptions, IndexOptions},
};

use crate::env::{Env, EnvError};

/// The database could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A variable is missing.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// The URI is not one, or its DNS name does not resolve. The driver's text can repeat the URI and with it
    /// the password, so it is not shown.
    #[error("MONGODB_URI cannot be used: check its form, its host and that its name resolves")]
    Uri,
}

/// Prepares a client for `MONGODB_URI` and gives the database `MONGODB_DATABASE` (default `newvisions`).
/// Connections open at first use.
pub async fn connect(env: &Env) -> Result<Database, ConnectError> {
    let mut options =
        ClientOptions::parse(env.required("MONGODB_URI")?).await.map_err(|_| ConnectError::Uri)?;
    options.app_name.get_or_insert_with(|| String::from("newvisions"));
    options.connect_timeout.get_or_insert(Duration::from_secs(3));
    options.server_selection_timeout.get_or_insert(Duration::from_secs(4));
    let client = Client::with_options(options).map_err(|_| ConnectError::Uri)?;
    Ok(client.database(env.get("MONGODB_DATABASE").unwrap_or("newvisions")))
}

/// One operation may take this long, the wait for a server included.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What the database answers, if it does so in time: the driver itself waits for a reply without end, and a
/// connection that died while its Lambda was frozen gives none. Whether the operation had its effect is then unknown.
pub async fn with_timeout<T>(
    operation: impl IntoFuture<Output = Result<T, MongoError>>,
) -> Result<T, MongoError> {
    let operation = tokio::time::timeout(TIMEOUT, operation.into_future());
    operation.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Makes every index that is missing. Safe to repeat; the sweep does so at each run, so a fresh deployment
/// needs one sweep (or `cargo ops indexes`) before its first registration.
pub async fn ensure_indexes(database: &Database) -> Result<(), MongoError> {
    for (collection, indexes) in indexes() {
        database.collection::<Document>(collection).create_indexes(indexes).await?;
    }
    Ok(())
}

/// The indexes that [`ensure_indexes`] would make, as `collection.index`.
pub async fn missing_indexes(database: &Database) -> Result<Vec<String>, MongoError> {
    let mut missing = Vec::new();
    for (name, indexes) in indexes() {
        let collection = database.collection::<Document>(name);
        let there = match collection.list_index_names().await {
            Ok(there) => there,
            // Nothing was stored in it yet.
            Err(error) if code(&error) == Some(NAMESPACE_NOT_FOUND) => Vec::new(),
            Err(error) => return Err(error),
        };
        let wanted = indexes.into_iter().filter_map(|index| index.options?.name);
        missing.extend(wanted.filter(|index| !there.contains(index)).map(|index| format!("{name}.{index}")));
    }
    Ok(missing)
}

/// The indexes that the stores rely on, by collection.
fn indexes() -> [(&'static str, Vec<IndexModel>); 2] {
    let leased = IndexOptions::builder()
        .name(String::from("lease_until"))
        .partial_filter_expression(doc! { "lease.until": { "$exists": true } })
        .build();
    let ttl = IndexOptions::builder().name(String::from("expires_at")).expire_after(Duration::ZERO).build();
    let index = |keys: Document, options| IndexModel::builder().keys(keys).options(options).build();
    [
        (
            "users",
            vec![
                unique("username_key"),
                unique("email_key"),
                // The claim on an activation code: whoever inserts the account first has it.
                unique("activation_code"),
                index(doc! { "lease.until": 1 }, leased),
            ],
        ),
        ("attempts", vec![index(doc! { "expires_at": 1 }, ttl)]),
    ]
}

/// A unique index that leaves out documents without the field, such as the earlier backend's.
fn unique(field: &str) -> IndexModel {
    IndexModel::builder()
        .keys(doc! { field: 1 })
        .options(
            IndexOptions::builder()
                .name(field.to_owned())
                .unique(true)
                .partial_filter_expression(doc! { field: { "$exists": true } })
                .build(),
        )
        .build()
}

/// Whether a write failed because another document holds a value that must be unique, and of which index.
#[must_use]
pub fn violated_index<'a>(error: &MongoError, indexes: &[&'a str]) -> Option<&'a str> {
    let text = match error.kind.as_ref() {
        ErrorKind::Write(WriteFailure::WriteError(error)) if error.code == DUPLICATE_KEY => &error.message,
        ErrorKind::Command(error) if error.code == DUPLICATE_KEY => &error.message,
        _ => return None,
    };
    indexes.iter().copied().find(|index| text.contains(&format!("index: {index}")))
}

/// Whether a write failed because a unique value is taken.
#[must_use]
pub fn is_duplicate(error: &MongoError) -> bool {
    code(error) == Some(DUPLICATE_KEY)
}

/// The server's number of an error that it answered.
fn code(error: &MongoError) -> Option<i32> {
    match error.kind.as_ref() {
        ErrorKind::Write(WriteFailure::WriteError(error)) => Some(error.code),
        ErrorKind::Command(error) => Some(error.code),
        _ => None,
    }
}

/// What went wrong, for the log. The server's own text is left out: it can repeat what was written, and with it a
/// user's name or address.
#[must_use]
pub fn redacted(error: &MongoError) -> String {
    match error.kind.as_ref() {
        ErrorKind::Command(error) => format!("command failed: {} {}", error.code, error.code_name),
        ErrorKind::Write(WriteFailure::WriteError(error)) => format!("write failed: {}", error.code),
        ErrorKind::ServerSelection { .. } => String::from("no server could be reached in time"),
        ErrorKind::Io(error) => format!("the connection broke: {}", error.kind()),
        ErrorKind::Authentication { .. } => String::from("the credentials were refused"),
        ErrorKind::ConnectionPoolCleared { .. } => {
            String::from("the connections were dropped after a failure")
        }
        ErrorKind::BsonDeserialization(_) | ErrorKind::Bson(_) => {
            String::from("a stored document cannot be read")
        }
        _ => String::from("the driver failed"),
    }
}

/// <https://www.mongodb.com/docs/manual/reference/error-codes/#mongodb-error-11000>
const DUPLICATE_KEY: i32 = 11000;
/// <https://www.mongodb.com/docs/manual/reference/error-codes/#mongodb-error-26>
const NAMESPACE_NOT_FOUND: i32 = 26;
