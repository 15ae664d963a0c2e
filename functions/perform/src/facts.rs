//! What is said of a perform beside its audio: in the answer, and for a repeated request in the database.

use mongodb::bson::Document;
use serde::{Deserialize, Serialize};
use shared::{
    error::Error,
    http::RequestId,
    quota::Quota,
    thought::{Routine, ThoughtSource},
};

use crate::{
    ambience::BackgroundSound,
    request::{Request, Take},
    takes::{Performed, Spoken},
};

/// The facts of a perform.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub enum Facts {
    /// Of several takes.
    Several(Several),
    /// Of one.
    One(One),
}

/// One take, and the perform.
#[derive(Serialize, Deserialize)]
pub struct One {
    /// Of the perform.
    #[serde(flatten)]
    pub common: Common,
    /// Of its take.
    #[serde(flatten)]
    pub take: TakeFacts,
}

/// Several takes, and the perform.
#[derive(Serialize, Deserialize)]
pub struct Several {
    /// Of the perform.
    #[serde(flatten)]
    pub total: Total,
    /// Of each take, as they were asked for.
    pub takes: Vec<Outcome>,
}

/// What is true of a perform, however many takes it had.
#[derive(Serialize, Deserialize)]
pub struct Common {
    /// Characters spent this month, this perform's included.
    #[serde(rename = "charCount")]
    pub char_count: i64,
    /// Characters of a month.
    #[serde(rename = "monthlyLimit")]
    pub monthly_limit: i64,
    /// Whose voice.
    #[serde(rename = "voiceSource")]
    pub voice_source: String,
    /// The request's id.
    pub request_id: String,
}

/// What is true of several takes together.
#[derive(Serialize, Deserialize)]
pub struct Total {
    /// Of the perform.
    #[serde(flatten)]
    pub common: Common,
    /// Characters of all texts.
    #[serde(rename = "charsUsedRaw")]
    pub chars_used_raw: i64,
    /// Characters charged for them.
    #[serde(rename = "charsUsedEffective")]
    pub chars_used_effective: i64,
}

/// What is true of one take.
#[derive(Serialize, Deserialize)]
pub struct TakeFacts {
    /// The routine, where the caller named one.
    pub routine_type: Option<String>,
    /// What is said.
    pub text: String,
    /// What the audio may be called.
    pub filename: String,
    /// Who wrote the text; null if the caller did.
    #[serde(rename = "thoughtSource")]
    pub thought_source: Option<String>,
    /// Whether the ambience is in the audio. Answers that were kept before there was one do not say.
    #[serde(rename = "backgroundSound", default)]
    pub background_sound: BackgroundSound,
    /// Characters of the text.
    #[serde(rename = "charsUsedRaw")]
    pub chars_used_raw: i64,
    /// Characters charged for it.
    #[serde(rename = "charsUsedEffective")]
    pub chars_used_effective: i64,
}

/// What became of one of several takes.
#[derive(Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Outcome {
    /// It can be heard.
    Ok {
        /// What is true of it.
        #[serde(flatten)]
        take: TakeFacts,
        /// The length of its MP3: the audio of all is kept in one piece, and this tells them apart.
        bytes: i64,
    },
    /// It cannot.
    Failed {
        /// The stable word.
        code: String,
        /// One sentence for a person.
        detail: String,
    },
}

impl Facts {
    /// The facts of a perform of a user who had spent so many characters before it, and may not be charged for it.
    pub fn new(
        quota: &Quota,
        request: &Request,
        performed: &Performed,
        spent_before: i64,
        is_charged: bool,
        request_id: &RequestId,
    ) -> Self {
        let mut takes = Vec::new();
        let (mut chars_used_raw, mut chars_used_effective) = (0, 0);
        for (number, (take, spoken)) in (1..).zip(request.takes.iter().zip(performed)) {
            takes.push(match spoken {
                Ok(spoken) => {
                    let mut take = TakeFacts::new(quota, take, spoken, is_charged);
                    chars_used_raw += take.chars_used_raw;
                    chars_used_effective += take.chars_used_effective;
                    if request.is_list {
                        take.filename = format!("{number}-{}", take.filename);
                    }
                    Outcome::Ok { take, bytes: i64::try_from(spoken.audio.len()).unwrap_or(i64::MAX) }
                }
                Err(error) => Outcome::Failed { code: error.code().to_owned(), detail: error.to_string() },
            });
        }
        let common = Common {
            // The lease lets nobody else spend this user's characters meanwhile.
            char_count: spent_before + chars_used_effective,
            monthly_limit: quota.monthly_limit,
            voice_source: request.voice.source().to_owned(),
            request_id: request_id.0.clone(),
        };
        let can_be_heard = |take: &mut Outcome| matches!(take, Outcome::Ok { .. });
        if !request.is_list
            && let Some(Outcome::Ok { take, .. }) = takes.pop_if(can_be_heard)
        {
            return Self::One(One { common, take });
        }
        Self::Several(Several { total: Total { common, chars_used_raw, chars_used_effective }, takes })
    }

    /// Characters charged.
    pub fn cost(&self) -> i64 {
        match self {
            Self::Several(several) => several.total.chars_used_effective,
            Self::One(one) => one.take.chars_used_effective,
        }
    }

    /// As stored for a repeated request.
    pub fn stored(&self) -> Option<Document> {
        mongodb::bson::serialize_to_document(self).ok()
    }

    /// As they were stored.
    pub fn read(stored: Document) -> Result<Self, Error> {
        mongodb::bson::deserialize_from_document(stored)
            .map_err(|_| Error::internal("a stored answer cannot be read"))
    }
}

impl TakeFacts {
    fn new(quota: &Quota, take: &Take, spoken: &Spoken, is_charged: bool) -> Self {
        let routine = take.routine.map(Routine::as_str);
        let characters = spoken.text.characters();
        Self {
            routine_type: routine.map(str::to_owned),
            text: spoken.text.as_str().to_owned(),
            filename: format!("{}.mp3", routine.unwrap_or("voice-note")),
            thought_source: spoken.thought_source.map(|source| ThoughtSource::as_str(source).to_owned()),
            background_sound: spoken.background_sound,
            chars_used_raw: i64::try_from(characters).unwrap_or(i64::MAX),
            chars_used_effective: if is_charged { quota.model.cost(characters) } else { 0 },
        }
    }
}
