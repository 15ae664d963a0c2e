//! The connection to MongoDB, the indexes, and what the stores share.

use std::{future::IntoFuture, io, sync::Arc, time::Duration};

use futures::TryStreamExt as _;
use mongodb::{
    Client, Database, IndexModel,
    bson::{Document, doc},
    error::{Error as MongoError, ErrorKind, WriteFailure},
    options::{ClientOptions, IndexOptions},
};
use tokio::sync::OnceCell;

use crate::env::{Env, EnvError};

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(transparent)]
    Env(#[from] EnvError),
    /// The URI is malformed, or its DNS name does not resolve. The driver's message is dropped, because it can repeat
    /// the URI and with it the password.
    #[error("MONGODB_URI cannot be used: check its form, its host and that its name resolves")]
    Uri,
}

/// A client for `MONGODB_URI`, with the database `MONGODB_DATABASE` (default `newvisions`). Connections open at first
/// use.
pub async fn connect(env: &Env) -> Result<Database, ConnectError> {
    let mut options =
        ClientOptions::parse(env.required("MONGODB_URI")?).await.map_err(|_| ConnectError::Uri)?;
    options.app_name.get_or_insert_with(|| String::from("newvisions"));
    options.connect_timeout.get_or_insert(Duration::from_secs(3));
    options.server_selection_timeout.get_or_insert(Duration::from_secs(4));
    let client = Client::with_options(options).map_err(|_| ConnectError::Uri)?;
    Ok(client.database(env.get("MONGODB_DATABASE").unwrap_or("newvisions")))
}

/// The limit of one operation, server selection included.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Runs an operation with a timeout. The driver has none for replies, and a connection that died while its Lambda was
/// frozen never gives one. After a timeout it is unknown whether the operation took effect.
pub async fn with_timeout<T>(
    operation: impl IntoFuture<Output = Result<T, MongoError>>,
) -> Result<T, MongoError> {
    let operation = tokio::time::timeout(TIMEOUT, operation.into_future());
    operation.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Creates the missing indexes. Idempotent. Each sweep calls it, so a fresh deployment needs one sweep (or
/// `cargo ops indexes`) before its first registration.
pub async fn ensure_indexes(database: &Database) -> Result<(), MongoError> {
    for (collection, indexes) in indexes() {
        database.collection::<Document>(collection).create_indexes(indexes).await?;
    }
    Ok(())
}

/// [`ensure_indexes`], once per process: what needs them waits for it the first time, and costs nothing after that.
#[derive(Clone)]
pub struct Indexes {
    database: Database,
    created: Arc<OnceCell<()>>,
}

impl Indexes {
    #[must_use]
    pub fn new(database: &Database) -> Self {
        Self { database: database.clone(), created: Arc::default() }
    }

    pub async fn ensure(&self) -> Result<(), MongoError> {
        self.created.get_or_try_init(|| ensure_indexes(&self.database)).await?;
        Ok(())
    }
}

/// The indexes that [`ensure_indexes`] would create, as `collection.index`.
pub async fn missing_indexes(database: &Database) -> Result<Vec<String>, MongoError> {
    let mut missing = Vec::new();
    for (name, indexes) in indexes() {
        let collection = database.collection::<Document>(name);
        let existing = match collection.list_index_names().await {
            Ok(names) => names,
            // The collection does not exist yet.
            Err(error) if code(&error) == Some(NAMESPACE_NOT_FOUND) => Vec::new(),
            Err(error) => return Err(error),
        };
        let required = indexes.into_iter().filter_map(|index| index.options?.name);
        missing.extend(
            required.filter(|index| !existing.contains(index)).map(|index| format!("{name}.{index}")),
        );
    }
    Ok(missing)
}

/// Unique indexes of the earlier backend, as collection and name: one over `code` refuses every second code of today's
/// form, and those over names are superseded by the ones that ignore case.
pub async fn superseded_indexes(database: &Database) -> Result<Vec<(&'static str, String)>, MongoError> {
    let mut superseded = Vec::new();
    for (name, field) in [("activation_codes", "code"), ("users", "username"), ("users", "email")] {
        let mut existing = match database.collection::<Document>(name).list_indexes().await {
            Ok(indexes) => indexes,
            Err(error) if code(&error) == Some(NAMESPACE_NOT_FOUND) => continue,
            Err(error) => return Err(error),
        };
        while let Some(index) = existing.try_next().await? {
            let options = index.options.unwrap_or_default();
            let is_unique = options.unique == Some(true);
            if let (true, true, Some(index)) = (is_unique, index.keys.keys().eq([field]), options.name) {
                superseded.push((name, index));
            }
        }
    }
    Ok(superseded)
}

/// By collection.
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
                // Decides a race on one activation code: whoever inserts the account first has it.
                unique("activation_code"),
                index(doc! { "lease.until": 1 }, leased),
            ],
        ),
        ("attempts", vec![index(doc! { "expires_at": 1 }, ttl)]),
    ]
}

/// A unique index over the documents that have the field; the earlier backend's may not.
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

/// `time` from now by the database's clock, as an aggregation expression.
pub(crate) fn from_now(time: Duration) -> Document {
    let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    doc! { "$dateAdd": { "startDate": "$$NOW", "unit": "millisecond", "amount": millis } }
}

/// `time` ago by the database's clock, as an aggregation expression.
pub(crate) fn ago(time: Duration) -> Document {
    let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    doc! { "$dateSubtract": { "startDate": "$$NOW", "unit": "millisecond", "amount": millis } }
}

/// Which of the unique `indexes` a write violated; `None` for any other error.
#[must_use]
pub fn violated_index<'a>(error: &MongoError, indexes: &[&'a str]) -> Option<&'a str> {
    let text = match error.kind.as_ref() {
        ErrorKind::Write(WriteFailure::WriteError(error)) if error.code == DUPLICATE_KEY => &error.message,
        ErrorKind::Command(error) if error.code == DUPLICATE_KEY => &error.message,
        _ => return None,
    };
    indexes.iter().copied().find(|index| text.contains(&format!("index: {index}")))
}

/// Whether a write violated a unique index.
#[must_use]
pub fn is_duplicate(error: &MongoError) -> bool {
    code(error) == Some(DUPLICATE_KEY)
}

/// The server's error code; `None` if the error is not the server's.
fn code(error: &MongoError) -> Option<i32> {
    match error.kind.as_ref() {
        ErrorKind::Write(WriteFailure::WriteError(error)) => Some(error.code),
        ErrorKind::Command(error) => Some(error.code),
        _ => None,
    }
}

/// A description for the log. The server's message is left out, because it can repeat what was written, and with it a
/// user's name or address.
#[must_use]
pub fn redacted(error: &MongoError) -> String {
    match error.kind.as_ref() {
        ErrorKind::Command(error) => format!("command failed: {} {}", error.code, error.code_name),
        ErrorKind::Write(WriteFailure::WriteError(error)) => format!("write failed: {}", error.code),
        ErrorKind::ServerSelection { .. } => String::from("server selection timed out"),
        ErrorKind::Io(error) => format!("connection failed: {}", error.kind()),
        ErrorKind::Authentication { .. } => String::from("authentication failed"),
        ErrorKind::ConnectionPoolCleared { .. } => String::from("connection pool cleared"),
        ErrorKind::BsonDeserialization(_) | ErrorKind::Bson(_) => {
            String::from("a stored document could not be deserialized")
        }
        _ => String::from("driver error"),
    }
}

/// <https://www.mongodb.com/docs/manual/reference/error-codes/#mongodb-error-11000>
const DUPLICATE_KEY: i32 = 11000;
/// <https://www.mongodb.com/docs/manual/reference/error-codes/#mongodb-error-26>
const NAMESPACE_NOT_FOUND: i32 = 26;
