//! The filter against its tables, and against all that anybody could type.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization as _;

use super::{Speakable, fold::fold, words::inappropriate};

fn table(file: &'static str) -> Vec<&'static str> {
    file.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("# ")).collect()
}

fn passes() -> Vec<&'static str> {
    table(include_str!("tables/passes.txt"))
}

fn refusals() -> Vec<&'static str> {
    table(include_str!("tables/refusals.txt"))
}

#[test]
fn names_titles_and_places_pass() {
    let refused: Vec<_> = passes().into_iter().filter(|text| Speakable::check(*text).is_err()).collect();
    assert!(refused.is_empty(), "{refused:?}");
    assert!(passes().len() >= 200);
}

#[test]
fn what_no_audience_should_hear_is_refused_in_every_disguise() {
    let passed: Vec<_> = refusals().into_iter().filter(|text| Speakable::check(*text).is_ok()).collect();
    assert!(passed.is_empty(), "{passed:?}");
    assert!(refusals().len() >= 100);
}

#[test]
fn a_sentence_around_it_and_the_case_change_no_verdict() {
    for text in passes() {
        for text in [format!("I dreamed of {text}, again."), text.to_uppercase(), text.to_lowercase()] {
            assert!(!inappropriate(&text), "{text}");
        }
    }
    for text in refusals() {
        for text in [format!("I dreamed of {text}, again."), text.to_uppercase(), text.to_lowercase()] {
            assert!(inappropriate(&text), "{text}");
        }
    }
}

#[test]
fn an_innocent_name_excuses_nothing_beside_it() {
    for text in [
        "Moby Dick, you dick",
        "Moby Dick fuck",
        "Kick-Ass sh!t",
        "Moby Dick f u c k",
        "Moby Dick b!tch",
        "dick van",
    ] {
        assert!(inappropriate(text), "{text}");
    }
}

#[test]
fn no_text_takes_long() {
    let began = Instant::now();
    for piece in
        ["a", "a ", "f", "f ", "fu", "f u ", "s$", "5 ", "* f", "!f", "a.", "as-", "\u{301}", "\u{200b}", "ﷺ"]
    {
        inappropriate(&piece.repeat(1000));
    }
    // A second or two unoptimised; what grows with the square of the length takes minutes.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn what_passed_reads_as_it_was_written() {
    let text = "Amélie – “Le Fabuleux Destin”, 2001 ♥";
    assert_eq!(Speakable::check(text).unwrap().as_str(), text);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_gets_a_verdict_and_folding_twice_is_folding_once(text in any::<String>()) {
        inappropriate(&text);
        let folded = fold(&text);
        prop_assert_eq!(fold(&folded), folded);
    }

    #[test]
    fn a_verdict_is_the_same_in_every_normal_form(text in "[a-zA-ZÀ-ÿ0-9 .,'@$!*-]{0,40}") {
        let verdict = inappropriate(&text);
        prop_assert_eq!(inappropriate(&text.nfc().collect::<String>()), verdict);
        prop_assert_eq!(inappropriate(&text.nfd().collect::<String>()), verdict);
    }

    #[test]
    fn invisible_characters_hide_nothing(
        index in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        hidden in prop::sample::select(vec!['\u{200b}', '\u{200c}', '\u{200d}', '\u{ad}', '\u{2060}', '\u{feff}', '\u{fe0f}']),
    ) {
        let words = refusals();
        let word: Vec<char> = words[index.index(words.len())].chars().collect();
        let (before, after) = word.split_at(at.index(word.len()));
        let text: String = before.iter().chain([&hidden]).chain(after).collect();
        prop_assert!(inappropriate(&text), "{:?}", text);
    }
}
