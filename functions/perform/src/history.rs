//! What a perform leaves in the provider's history: the text and the audio of every synthesis stay there until they are
//! deleted (<https://elevenlabs.io/docs/api-reference/history/delete>).
//!
//! Each item is deleted as soon as it is known, beside the clone's deletion and without adding to the time of a perform.
//! What could not be deleted is recorded for the sweep.

use std::{
    collections::BTreeSet,
    sync::{Mutex, Once, PoisonError},
};

use shared::{
    deadline::Deadline,
    elevenlabs::{ElevenLabs, ElevenLabsError},
};
use tokio::task::JoinSet;

use crate::budget::{ATTEMPT_TIMEOUT, CLEANUP_BACKOFF, HISTORY_GRACE};

/// The items of one perform.
pub struct History {
    elevenlabs: ElevenLabs,
    delete_by: Deadline,
    items: Mutex<Items>,
}

#[derive(Default)]
struct Items {
    /// How many there were.
    count: usize,
    pending: BTreeSet<String>,
    /// Each gives the item that it deleted. They stop when this is dropped.
    deletions: JoinSet<Option<String>>,
}

/// What became of the items.
#[derive(Default)]
pub struct HistoryReport {
    /// Whether there were items, and all of them are deleted.
    pub is_deleted: bool,
    /// Items that may still exist.
    pub pending: Vec<String>,
}

impl History {
    pub fn new(elevenlabs: ElevenLabs, delete_by: Deadline) -> Self {
        Self { elevenlabs, delete_by, items: Mutex::default() }
    }

    /// Starts to delete an item.
    pub fn delete(&self, id: String) {
        let (elevenlabs, delete_by) = (self.elevenlabs.clone(), self.delete_by);
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        items.count += 1;
        items.pending.insert(id.clone());
        items.deletions.spawn(async move {
            let delete = || elevenlabs.delete_history_item(&id, delete_by.capped_at(ATTEMPT_TIMEOUT));
            let passes = |error: &ElevenLabsError| !is_forbidden(error);
            match delete_by.retry(&CLEANUP_BACKOFF, delete, passes).await {
                Ok(_) => return Some(id),
                Err(error) if is_forbidden(&error) => warn_of_scope(&error),
                Err(error) => tracing::warn!(%error, "failed to delete from the provider's history"),
            }
            None
        });
    }

    /// Ends the deletions: those that have not ended by now are hardly waited for.
    pub async fn finish(&self) -> HistoryReport {
        let Items { count, mut pending, mut deletions } =
            std::mem::take(&mut *self.items.lock().unwrap_or_else(PoisonError::into_inner));
        let collect = async {
            while let Some(deleted) = deletions.join_next().await {
                if let Ok(Some(id)) = deleted {
                    pending.remove(&id);
                }
            }
        };
        let _ = self.delete_by.capped_at(HISTORY_GRACE).timeout(collect).await;
        let pending: Vec<String> = pending.into_iter().collect();
        HistoryReport { is_deleted: count > 0 && pending.is_empty(), pending }
    }
}

fn is_forbidden(error: &ElevenLabsError) -> bool {
    matches!(error, ElevenLabsError::Refused(refusal) if [401, 403].contains(&refusal.status))
}

/// Once: every perform would say the same.
fn warn_of_scope(error: &ElevenLabsError) {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| {
        tracing::warn!(
            %error,
            "ELEVENLABS_API_KEY may not delete from the provider's history: give it the scope speech_history_write"
        );
    });
}
