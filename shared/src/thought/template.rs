//! Thoughts from the built-in templates, for when Gemini has no usable text.

use super::{locale::Locale, subject::ThoughtSubject, words::words};
use crate::content_filter::Speakable;

/// Fills one of the templates of the subject's language, or of the English ones. Prefers those in which the value then
/// occurs once (a film may be called "Dream") and which do not name the topic.
pub fn from_template(subject: &ThoughtSubject) -> Speakable {
    let mut templates = Locale::or_english(subject.language).templates;
    fastrand::shuffle(&mut templates);
    let forbidden = subject.topic.forbidden_words(subject.language);
    let penalty = |template: &&str| {
        let filled = fill_template(template, subject.value.as_str());
        let names_category = words(template).any(|word| forbidden.contains(&word.normalized));
        (subject.occurrences_in(&filled).len() != 1, names_category)
    };
    let template = templates.into_iter().min_by_key(penalty).unwrap_or_default();
    Speakable::check(fill_template(template, subject.value.as_str()))
        // Value and template pass by themselves: only a word spanning both could be blocked.
        .unwrap_or_else(|_| subject.value.clone())
}

/// A value that ends a sentence itself ("Help!") needs no full stop.
fn fill_template(template: &str, value: &str) -> String {
    let template =
        if value.ends_with(['.', '!', '?', '…']) { template.trim_end_matches('.') } else { template };
    template.replace("{}", value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        settings::LanguageCode,
        thought::{Routine, Topic, max_characters, spoken_value::spoken_value, validate::validate},
    };

    fn language(code: &str) -> LanguageCode {
        LanguageCode::try_from(code.to_owned()).unwrap()
    }

    #[test]
    fn templates_pass_validation_and_have_80_to_120_characters() {
        let routines =
            [Routine::Cards, Routine::StarSigns, Routine::Phobias, Routine::Names, Routine::Custom];
        for locale in Locale::ALL {
            for template in locale.templates {
                for value in ["Leo", "1987", "Fargo", "Queen of Hearts", "The Maltese Falcon"] {
                    for routine in routines {
                        let (topic, language) = (Topic::from(routine), language(locale.code));
                        let value = spoken_value(&Speakable::check(value).unwrap(), routine, &language);
                        let subject = ThoughtSubject { topic: &topic, value: &value, language: &language };
                        let text = fill_template(template, value.as_str());
                        assert_eq!(validate(&text, &subject, "").map(|_| ()), Ok(()), "{text}");
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
    fn template_that_contains_the_value_or_names_the_topic_is_avoided() {
        let (english, value) = (language("en"), Speakable::check("dreaming").unwrap());
        let topic = Topic::Custom(Speakable::check("a strange sound").unwrap());
        for _ in 0..50 {
            let text = from_template(&ThoughtSubject { topic: &topic, value: &value, language: &english });
            assert_eq!(text.as_str().matches("dreaming").count(), 1, "{text:?}");
            assert!(!text.as_str().contains("strange"), "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn template_takes_any_value_within_the_reserved_length(
            value in "\\PC{1,500}", at in 0..Locale::ALL.len(),
        ) {
            prop_assume!(Speakable::check(value.as_str()).is_ok());
            let value = Speakable::check(value).unwrap();
            let (topic, language) = (Topic::from(Routine::Custom), language(Locale::ALL[at].code));
            let text = from_template(&ThoughtSubject { topic: &topic, value: &value, language: &language });
            prop_assert!(text.as_str().contains(value.as_str()));
            prop_assert!(text.characters() <= max_characters(value.as_str()));
            prop_assert!(text.characters() > value.characters());
        }
    }
}
