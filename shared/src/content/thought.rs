//! A thought: what somebody just awake says of a strange dream about the value.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Speakable, Topic,
    check::{self, Flaw},
    locale::Locale,
    prompt, wording,
};
use crate::{
    deadline::Deadline,
    gemini::{Gemini, GeminiError, GenerateRequest},
    settings::LanguageCode,
};

/// How long the show waits for words, all attempts together. Gemini usually needs about one second, and a clone is made
/// meanwhile, which takes longer than this; so a perform seldom waits for its words at all.
const TIMEOUT: Duration = Duration::from_secs(5);
/// With less time than this left, no second attempt is made.
const MIN_TIME: Duration = Duration::from_millis(800);
/// Characters that a thought may have: 120 are asked for.
const MAX_CHARS: usize = 160;
/// Characters that it may have beside a long value.
const MAX_CHARS_AROUND_VALUE: usize = 120;

/// The most characters that a thought about this value can have, by Gemini or by a template: what a perform reserves
/// before it is written.
#[must_use]
pub fn max_characters(value: &str) -> usize {
    MAX_CHARS.max(value.chars().count() + MAX_CHARS_AROUND_VALUE)
}

/// A thought, ready to be spoken.
#[derive(Clone, Debug)]
pub struct Thought {
    /// What is said.
    pub text: Speakable,
    /// Who wrote it.
    pub source: ThoughtSource,
    /// The language that it is in, as ISO 639-1.
    pub language: String,
}

/// Who wrote a thought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ThoughtSource {
    /// Gemini.
    Gemini,
    /// The built-in template of the language: Gemini had no usable answer in time.
    Template,
}

impl ThoughtSource {
    /// The contract's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Gemini => "gemini",
            Self::Template => "template",
        }
    }
}

/// Writes thoughts. Cloning it is cheap.
#[derive(Clone)]
pub struct Thoughts {
    gemini: Gemini,
}

/// What a thought is to be about.
pub struct ThoughtSubject<'a> {
    /// The kind of the value.
    pub topic: &'a Topic,
    /// What the spectator thinks of.
    pub value: &'a Speakable,
    /// What it is to be told in.
    pub language: &'a LanguageCode,
}

/// Why an attempt gave nothing.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(transparent)]
    Gemini(#[from] GeminiError),
    #[error("Gemini's text cannot be used: {}", .0.advice())]
    Flawed(Flaw),
}

impl Thoughts {
    /// Thoughts by this Gemini.
    #[must_use]
    pub fn new(gemini: Gemini) -> Self {
        Self { gemini }
    }

    /// A thought about `value`, which is one of `topic`. Never fails: what Gemini cannot do in time, in two attempts, a
    /// template does. Takes five seconds at most.
    pub async fn write(
        &self,
        topic: Topic,
        value: &Speakable,
        language: &LanguageCode,
        by: Deadline,
    ) -> Thought {
        let about = ThoughtSubject { topic: &topic, value, language };
        match self.by_gemini(&about, by.capped_at(TIMEOUT)).await {
            Ok(text) => Thought { text, source: ThoughtSource::Gemini, language: language.code().to_owned() },
            Err(why) => {
                tracing::warn!(%why, "the thought comes from a template");
                by_template(&about)
            }
        }
    }

    async fn by_gemini(&self, about: &ThoughtSubject<'_>, by: Deadline) -> Result<Speakable, Unusable> {
        let why = match self.attempt(about, None, by).await {
            Ok(text) => return Ok(text),
            Err(why) => why,
        };
        match why.pause() {
            Some(pause) if pause + MIN_TIME <= by.remaining() => {
                tracing::info!(%why, "Gemini is asked once more");
                tokio::time::sleep(pause).await;
                self.attempt(about, why.flaw(), by).await
            }
            _ => Err(why),
        }
    }

    async fn attempt(
        &self,
        about: &ThoughtSubject<'_>,
        flaw: Option<Flaw>,
        by: Deadline,
    ) -> Result<Speakable, Unusable> {
        let question = GenerateRequest {
            instruction: prompt::instruction(about, flaw),
            data: prompt::data(about),
            schema: prompt::schema(),
        };
        let answer = self.gemini.generate(&question, by).await?;
        prompt::thought(&answer).and_then(|text| check::check(&text, about)).map_err(Unusable::Flawed)
    }
}

impl Unusable {
    /// How long to wait before another attempt; `None` if it would end the same way.
    fn pause(&self) -> Option<Duration> {
        match self {
            Self::Gemini(error) => error.pause(),
            Self::Flawed(_) => Some(Duration::ZERO),
        }
    }

    /// What to tell the model about it.
    fn flaw(&self) -> Option<Flaw> {
        match self {
            Self::Flawed(flaw) => Some(*flaw),
            Self::Gemini(GeminiError::AnswerBlocked(_)) => Some(Flaw::Blocked),
            Self::Gemini(_) => None,
        }
    }
}

impl ThoughtSubject<'_> {
    /// The language's own words, where we have any.
    pub fn locale(&self) -> Option<&'static Locale> {
        Locale::of(self.language)
    }
}

/// One of the language's own templates, or of the English ones for a language that has none. Preferred are those that
/// say the value once (a film may be called "Dream") and do not name the topic.
fn by_template(about: &ThoughtSubject) -> Thought {
    let locale = Locale::or_english(about.language);
    let mut dreams = locale.dreams;
    fastrand::shuffle(&mut dreams);
    let unspeakable = about.topic.unspeakable(about.language);
    let drawback = |dream: &&str| {
        let told = filled(dream, about.value.as_str());
        let names_kind = wording::words(dream).any(|word| unspeakable.contains(&word.plain));
        (wording::places(&told, about).len() != 1, names_kind)
    };
    let text = dreams.iter().copied().min_by_key(drawback).map(|dream| filled(dream, about.value.as_str()));
    let text = Speakable::check(text.unwrap_or_default())
        // The value passed and the template is ours; together they can only trip the filter over their seam.
        .unwrap_or_else(|_| about.value.clone());
    Thought { text, source: ThoughtSource::Template, language: locale.code.to_owned() }
}

/// A template with its value. A value that ends a sentence itself ("Help!") needs no full stop.
fn filled(dream: &str, value: &str) -> String {
    let dream = if value.ends_with(['.', '!', '?', '…']) { dream.trim_end_matches('.') } else { dream };
    dream.replace("{}", value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::content::Routine;

    fn language(code: &str) -> LanguageCode {
        LanguageCode::try_from(code.to_owned()).unwrap()
    }

    #[test]
    fn every_template_passes_the_check_that_gemini_has_to_pass_in_80_to_120_characters() {
        let routines =
            [Routine::Cards, Routine::StarSigns, Routine::Phobias, Routine::Names, Routine::Custom];
        for locale in Locale::ALL {
            for dream in locale.dreams {
                for value in ["Leo", "1987", "Fargo", "Queen of Hearts", "The Maltese Falcon"] {
                    for routine in routines {
                        let value = Speakable::check(value).unwrap();
                        let (topic, language) = (routine.topic(), language(locale.code));
                        let about = ThoughtSubject { topic: &topic, value: &value, language: &language };
                        let text = filled(dream, value.as_str());
                        assert_eq!(check::check(&text, &about).map(|_| ()), Ok(()), "{text}");
                        assert!(
                            (80..=120).contains(&text.chars().count()),
                            "{} {text}",
                            text.chars().count()
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_template_that_holds_the_value_itself_or_names_the_topic_gives_way_to_another() {
        let (english, value) = (language("en"), Speakable::check("dreaming").unwrap());
        let topic = Topic::Named(Speakable::check("a strange sound").unwrap());
        for _ in 0..50 {
            let thought = by_template(&ThoughtSubject { topic: &topic, value: &value, language: &english });
            assert_eq!(thought.text.as_str().matches("dreaming").count(), 1, "{:?}", thought.text);
            assert!(!thought.text.as_str().contains("strange"), "{:?}", thought.text);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_template_holds_any_value_and_keeps_within_what_was_reserved(
            value in "\\PC{1,500}", at in 0..Locale::ALL.len(),
        ) {
            prop_assume!(Speakable::check(value.as_str()).is_ok());
            let value = Speakable::check(value).unwrap();
            let (topic, language) = (Topic::Of(Routine::Custom), language(Locale::ALL[at].code));
            let thought = by_template(&ThoughtSubject { topic: &topic, value: &value, language: &language });
            prop_assert!(thought.text.as_str().contains(value.as_str()));
            prop_assert!(thought.text.characters() <= max_characters(value.as_str()));
            prop_assert!(thought.text.characters() > value.characters());
        }
    }
}
