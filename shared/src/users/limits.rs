//! How often a signed-in user may do in an hour what costs us money or processor time, or tells about others.
//!
//! Counted in the user's document by the update that loads it: one command, atomic, and refused without counting.

use std::{collections::HashMap, time::Duration};

use mongodb::{
    bson::{Bson, DateTime, Document, doc},
    options::ReturnDocument,
};
use serde::{Deserialize, Serialize};

use super::{User, Users, sessions::add};
use crate::{error::Error, session::Caller};

/// The length of a counter's window, from the first use in it.
const WINDOW: Duration = Duration::from_hours(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// Each asks Gemini, at our expense. Those of performs have the month's characters as their limit.
    Thoughts,
    UploadOffers,
    /// Each decodes a whole recording.
    RecordingChecks,
    /// Each can ask whether a name or an address is taken.
    ProfileChanges,
}

impl Limited {
    /// Uses in an hour: far more than the app makes.
    #[must_use]
    pub fn per_hour(self) -> i64 {
        match self {
            Self::Thoughts => 300,
            Self::UploadOffers | Self::RecordingChecks => 120,
            Self::ProfileChanges => 60,
        }
    }

    fn member(self) -> &'static str {
        match self {
            Self::Thoughts => "thoughts",
            Self::UploadOffers => "upload_offers",
            Self::RecordingChecks => "recording_checks",
            Self::ProfileChanges => "profile_changes",
        }
    }
}

/// Uses in the window that runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HourlyUse {
    count: i64,
    /// Counts as no use after that.
    until: DateTime,
}

/// By [`Limited::member`].
pub type HourlyUses = HashMap<String, HourlyUse>;

impl Users {
    /// The caller's document, as [`Users::find_by_session`] gives it, with one more use counted;
    /// [`Error::TooManyAttempts`] if there were too many in this hour.
    pub async fn find_and_count(&self, caller: &Caller, what: Limited) -> Result<User, Error> {
        self.count_and_set(caller, what, doc! {}, ReturnDocument::After).await
    }

    /// The same, and sets members of the document unless the use is refused.
    pub(super) async fn count_and_set(
        &self,
        caller: &Caller,
        what: Limited,
        set: Document,
        returned: ReturnDocument,
    ) -> Result<User, Error> {
        let now = self.clock.now();
        let [count, until] = ["count", "until"].map(|part| format!("hourly.{}.{part}", what.member()));
        let is_running = doc! { "$gt": [{ "$ifNull": [format!("${until}"), DateTime::MIN] }, now] };
        let mut filter = self.session_filter(caller);
        filter.insert(
            "$or",
            [
                doc! { &until: { "$exists": false } },
                doc! { &until: { "$lte": now } },
                doc! { &count: { "$lt": what.per_hour() } },
            ]
            .map(Bson::from)
            .to_vec(),
        );
        // Values that a person typed may look like expressions.
        let mut stage: Document =
            set.into_iter().map(|(name, value)| (name, Bson::from(doc! { "$literal": value }))).collect();
        stage
            .insert(&count, doc! { "$cond": [&is_running, { "$add": [format!("${count}"), 1_i64] }, 1_i64] });
        stage.insert(&until, doc! { "$cond": [is_running, format!("${until}"), add(now, WINDOW)] });
        let found = self
            .collection
            .find_one_and_update(filter, vec![doc! { "$set": stage }])
            .return_document(returned)
            .await?;
        if let Some(user) = found {
            return Ok(user);
        }
        let user = self.find_by_session(caller).await?;
        let until = user.hourly.get(what.member()).map_or(now, |uses| uses.until);
        let left = until.timestamp_millis() - now.timestamp_millis();
        Err(Error::TooManyAttempts { retry_in: Duration::from_millis(u64::try_from(left).unwrap_or(0)) })
    }
}
