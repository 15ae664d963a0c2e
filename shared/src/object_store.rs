//! The S3 bucket: recordings, uploads and replays.
//!
//! - `recordings/USER`: a user's recording, with its content type. One object, so that it is replaced by one atomic write
//!   and an account's deletion has one key to delete.
//! - `uploads/USER/UUID`: recordings that are too large for API Gateway, uploaded by presigned requests. They expire.
//! - `replays/USER/LEASE`: the audio of performs with an `Idempotency-Key`, for a day.

use std::time::Duration;

use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Config, Credentials, Region, retry::RetryConfig, timeout::TimeoutConfig},
    error::{DisplayErrorContext, SdkError},
    presigning::PresigningConfig,
    primitives::ByteStream,
};
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use mongodb::bson::oid::ObjectId;

use crate::{
    env::{Env, EnvError},
    http_client,
};

/// How long a presigned URL is valid.
pub const UPLOAD_LIFETIME: Duration = Duration::from_mins(15);

/// A failed request to S3. The message is for the log and contains no audio.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {cause}")]
pub struct S3Error {
    operation: &'static str,
    cause: String,
}

#[derive(Clone)]
pub struct Recording {
    pub bytes: Bytes,
    /// The container, such as `audio/webm`.
    pub mime_type: String,
}

impl Recording {
    /// Decodes base64 in all its forms: with or without padding, in the standard or the URL-safe alphabet, with line
    /// breaks, and as a data URL (RFC 2397) with any parameters.
    #[must_use]
    pub fn decode(text: &str) -> Option<Bytes> {
        const LENIENT: GeneralPurpose = GeneralPurpose::new(
            &alphabet::STANDARD,
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
        );
        let text = text.trim_start();
        let is_data_url = text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"));
        // Base64 has no comma, which a quoted list of codecs may have.
        let data = if is_data_url { text.rsplit_once(',')?.1 } else { text };
        let standard = |byte| match byte {
            b'-' => b'+',
            b'_' => b'/',
            byte => byte,
        };
        let data: Vec<u8> = data.bytes().filter(|byte| !byte.is_ascii_whitespace()).map(standard).collect();
        LENIENT.decode(data).ok().map(Bytes::from)
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct ObjectStore {
    client: Client,
    bucket: String,
}

/// A presigned PUT of one upload.
pub struct PresignedUpload {
    pub url: String,
    /// Headers that must be sent unchanged, because they are signed.
    pub headers: Vec<(String, String)>,
}

impl ObjectStore {
    /// A client for `RECORDINGS_BUCKET`. Region and credentials are read from the environment, where Lambda puts them; the
    /// SDK's provider chain would lengthen a cold start. `S3_ENDPOINT` sets a server other than AWS, with path-style URLs.
    pub fn from_env(env: &Env, http: reqwest::Client) -> Result<Self, EnvError> {
        let credentials = Credentials::new(
            env.required("AWS_ACCESS_KEY_ID")?,
            env.required("AWS_SECRET_ACCESS_KEY")?,
            env.get("AWS_SESSION_TOKEN").map(str::to_owned),
            None,
            "environment",
        );
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(Duration::from_secs(10))
            .operation_timeout(Duration::from_secs(20))
            .build();
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http_client::into_aws_http_client(http))
            .region(Region::new(env.required("AWS_REGION")?.to_owned()))
            .credentials_provider(credentials)
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(timeouts);
        if let Some(endpoint) = env.get("S3_ENDPOINT") {
            config = config.endpoint_url(endpoint).force_path_style(true);
        }
        Ok(Self {
            client: Client::from_conf(config.build()),
            bucket: env.required("RECORDINGS_BUCKET")?.to_owned(),
        })
    }

    /// The user's recording; `None` if there is none.
    pub async fn get(&self, user_id: ObjectId) -> Result<Option<Recording>, S3Error> {
        self.fetch(&recording_key(user_id)).await
    }

    /// Stores the user's recording and replaces an earlier one.
    pub async fn put(&self, user_id: ObjectId, recording: Recording) -> Result<(), S3Error> {
        self.store(recording_key(user_id), recording).await
    }

    /// Stores the user's recording if there is none yet; returns whether it did.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>
    pub async fn put_if_absent(&self, user_id: ObjectId, recording: Recording) -> Result<bool, S3Error> {
        let stored = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(recording_key(user_id))
            .if_none_match("*")
            .content_type(recording.mime_type)
            .body(ByteStream::from(recording.bytes))
            .send()
            .await;
        match stored {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(error)) if error.raw().status().as_u16() == 412 => Ok(false),
            Err(error) => Err(s3_error("PutObject", error)),
        }
    }

    /// Deletes the user's recording. Not an error if there is none.
    pub async fn delete(&self, user_id: ObjectId) -> Result<(), S3Error> {
        self.remove(&recording_key(user_id)).await
    }

    #[must_use]
    pub fn upload_key(user_id: ObjectId) -> String {
        format!("uploads/{user_id}/{}", uuid::Uuid::new_v4())
    }

    /// A presigned PUT of exactly `bytes` bytes. The length is signed, so S3 rejects any other.
    pub async fn presign_upload(
        &self,
        key: &str,
        mime_type: &str,
        bytes: i64,
    ) -> Result<PresignedUpload, S3Error> {
        let lifetime =
            PresigningConfig::expires_in(UPLOAD_LIFETIME).map_err(|error| s3_error("presign", error))?;
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_type(mime_type)
            .content_length(bytes)
            .presigned(lifetime)
            .await
            .map_err(|error| s3_error("presign", error))?;
        Ok(PresignedUpload {
            url: request.uri().to_owned(),
            headers: request.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        })
    }

    /// `None` if nothing was uploaded under the key.
    pub async fn get_upload(&self, key: &str) -> Result<Option<Recording>, S3Error> {
        self.fetch(key).await
    }

    /// Deletes an upload. Not an error if there is none.
    pub async fn delete_upload(&self, key: &str) -> Result<(), S3Error> {
        self.remove(key).await
    }

    /// Stores the audio of a perform for idempotent retries. It expires after a day.
    pub async fn put_replay(&self, user_id: ObjectId, lease_id: ObjectId, mp3: Bytes) -> Result<(), S3Error> {
        let recording = Recording { bytes: mp3, mime_type: String::from("audio/mpeg") };
        self.store(replay_key(user_id, lease_id), recording).await
    }

    /// The audio of an earlier perform. A missing object is an error: the database says that it was stored.
    pub async fn get_replay(&self, user_id: ObjectId, lease_id: ObjectId) -> Result<Bytes, S3Error> {
        let audio = self.fetch(&replay_key(user_id, lease_id)).await?.map(|audio| audio.bytes);
        audio.ok_or_else(|| S3Error {
            operation: "GetObject",
            cause: String::from("the audio of a finished perform is missing"),
        })
    }

    /// Deletes the audio of an earlier perform. Not an error if there is none.
    pub async fn delete_replay(&self, user_id: ObjectId, lease_id: ObjectId) -> Result<(), S3Error> {
        self.remove(&replay_key(user_id, lease_id)).await
    }

    async fn store(&self, key: String, recording: Recording) -> Result<(), S3Error> {
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_type(recording.mime_type)
            .body(ByteStream::from(recording.bytes))
            .send()
            .await
            .map_err(|error| s3_error("PutObject", error))?;
        Ok(())
    }

    async fn fetch(&self, key: &str) -> Result<Option<Recording>, S3Error> {
        let object = match self.client.get_object().bucket(&self.bucket).key(key).send().await {
            Ok(object) => object,
            Err(SdkError::ServiceError(error)) if error.err().is_no_such_key() => return Ok(None),
            // Without s3:ListBucket, S3 answers 403 for a missing object.
            Err(SdkError::ServiceError(error)) if error.raw().status().as_u16() == 403 => {
                tracing::warn!("GetObject denied: the object does not exist or s3:GetObject is not granted");
                return Ok(None);
            }
            Err(error) => return Err(s3_error("GetObject", error)),
        };
        let mime_type = object.content_type.unwrap_or_default();
        let body = object.body.collect().await.map_err(|error| s3_error("GetObject", error))?;
        Ok(Some(Recording { bytes: body.into_bytes(), mime_type }))
    }

    async fn remove(&self, key: &str) -> Result<(), S3Error> {
        let deleted = self.client.delete_object().bucket(&self.bucket).key(key).send().await;
        deleted.map_err(|error| s3_error("DeleteObject", error))?;
        Ok(())
    }
}

fn recording_key(user_id: ObjectId) -> String {
    format!("recordings/{user_id}")
}

fn replay_key(user_id: ObjectId, lease_id: ObjectId) -> String {
    format!("replays/{user_id}/{lease_id}")
}

fn s3_error(operation: &'static str, error: impl std::error::Error) -> S3Error {
    S3Error { operation, cause: DisplayErrorContext(error).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recording_is_decoded_from_every_form_of_base64() {
        let bytes = [0xfb, 0xef, 0xff, 0x3f, 0x00, 0x10, 0x83, 0x7a];
        for text in [
            "++//PwAQg3o=",
            "++//PwAQg3o",
            "--__PwAQg3o=",
            "++//\r\nPwAQ\r\ng3o=\r\n",
            " \n++//PwAQg3o=\n",
            "data:audio/webm;base64,++//PwAQg3o=",
            "DATA:AUDIO/WEBM;CODECS=OPUS;BASE64,++//PwAQg3o=",
            "data:audio/webm;codecs=\"opus,vorbis\";base64,--__PwAQ\ng3o",
            "data:;base64,++//PwAQg3o=",
        ] {
            assert_eq!(Recording::decode(text).as_deref(), Some(bytes.as_slice()), "{text}");
        }
        for text in ["++//PwAQg3o=!", "data:audio/webm;base64", "ä"] {
            assert_eq!(Recording::decode(text), None, "{text}");
        }
    }
}
