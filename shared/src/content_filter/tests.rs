//! The filter against its examples, and against arbitrary text.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization as _;

use super::{Speakable, matcher::contains_blocked_word, normalize::normalize};

fn examples(file: &'static str) -> Vec<&'static str> {
    file.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("# ")).collect()
}

fn allowed() -> Vec<&'static str> {
    examples(include_str!("testdata/allowed.txt"))
}

fn blocked() -> Vec<&'static str> {
    examples(include_str!("testdata/blocked.txt"))
}

#[test]
fn allowed_examples_pass() {
    let rejected: Vec<_> = allowed().into_iter().filter(|text| Speakable::check(*text).is_err()).collect();
    assert!(rejected.is_empty(), "{rejected:?}");
    assert!(allowed().len() >= 200);
}

#[test]
fn blocked_examples_are_rejected_in_every_disguise() {
    let passed: Vec<_> = blocked().into_iter().filter(|text| Speakable::check(*text).is_ok()).collect();
    assert!(passed.is_empty(), "{passed:?}");
    assert!(blocked().len() >= 100);
}

#[test]
fn verdict_does_not_depend_on_case_or_on_the_sentence_around() {
    for text in allowed() {
        for text in [format!("I dreamed of {text}, again."), text.to_uppercase(), text.to_lowercase()] {
            assert!(!contains_blocked_word(&text), "{text}");
        }
    }
    for text in blocked() {
        for text in [format!("I dreamed of {text}, again."), text.to_uppercase(), text.to_lowercase()] {
            assert!(contains_blocked_word(&text), "{text}");
        }
    }
}

#[test]
fn allowlisted_name_excuses_nothing_beside_it() {
    for text in [
        "Moby Dick, you dick",
        "Moby Dick fuck",
        "Kick-Ass sh!t",
        "Moby Dick f u c k",
        "Moby Dick b!tch",
        "dick van",
    ] {
        assert!(contains_blocked_word(text), "{text}");
    }
}

#[test]
fn matching_time_is_not_quadratic() {
    let began = Instant::now();
    for piece in
        ["a", "a ", "f", "f ", "fu", "f u ", "s$", "5 ", "* f", "!f", "a.", "as-", "\u{301}", "\u{200b}", "ﷺ"]
    {
        contains_blocked_word(&piece.repeat(1000));
    }
    // A second or two unoptimised; what grows with the square of the length takes minutes.
    assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
}

#[test]
fn speakable_text_is_unchanged() {
    let text = "Amélie – “Le Fabuleux Destin”, 2001 ♥";
    assert_eq!(Speakable::check(text).unwrap().as_str(), text);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn normalizing_is_idempotent_and_any_text_gets_a_verdict(text in any::<String>()) {
        contains_blocked_word(&text);
        let normalized = normalize(&text);
        prop_assert_eq!(normalize(&normalized), normalized);
    }

    #[test]
    fn verdict_is_the_same_in_every_unicode_normal_form(text in "[a-zA-ZÀ-ÿ0-9 .,'@$!*-]{0,40}") {
        let verdict = contains_blocked_word(&text);
        prop_assert_eq!(contains_blocked_word(&text.nfc().collect::<String>()), verdict);
        prop_assert_eq!(contains_blocked_word(&text.nfd().collect::<String>()), verdict);
    }

    #[test]
    fn invisible_characters_hide_no_word(
        index in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        hidden in prop::sample::select(vec!['\u{200b}', '\u{200c}', '\u{200d}', '\u{ad}', '\u{2060}', '\u{feff}', '\u{fe0f}']),
    ) {
        let words = blocked();
        let word: Vec<char> = words[index.index(words.len())].chars().collect();
        let (before, after) = word.split_at(at.index(word.len()));
        let text: String = before.iter().chain([&hidden]).chain(after).collect();
        prop_assert!(contains_blocked_word(&text), "{:?}", text);
    }
}
