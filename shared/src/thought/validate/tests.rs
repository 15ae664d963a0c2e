//! What validation rejects, and what it must accept.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::{
    settings::LanguageCode,
    thought::{Routine, Topic, prompt::instruction, template::from_template},
};

fn validated(text: &str, topic: &Topic, value: &str, language: &str) -> Result<String, Flaw> {
    let value = Speakable::check(value).unwrap();
    let language = LanguageCode::try_from(language.to_owned()).unwrap();
    let subject = ThoughtSubject { topic, value: &value, language: &language };
    validate(text, &subject, &instruction(&subject, None)).map(|text| text.as_str().to_owned())
}

fn flaw(text: &str, routine: Routine, value: &str, language: &str) -> Option<Flaw> {
    validated(text, &Topic::from(routine), value, language).err()
}

/// A fit thought about "Fargo", with a change.
fn changed(from: &str, to: &str) -> Option<Flaw> {
    let fit = "I just woke up and it's still dark… all night long I was walking through Fargo, barefoot in the snow.";
    assert_eq!(flaw(fit, Routine::Movies, "Fargo", "en"), None);
    assert!(fit.contains(from));
    flaw(&fit.replace(from, to), Routine::Movies, "Fargo", "en")
}

#[test]
fn value_must_occur_exactly_once() {
    assert_eq!(changed("Fargo", "a town"), Some(Flaw::ValueMissing));
    assert_eq!(changed("Fargo", "Fargonia"), Some(Flaw::ValueMissing));
    assert_eq!(changed("Fargo", "Embargo"), Some(Flaw::ValueMissing));
    assert_eq!(changed("the snow", "the snow of Fargo"), Some(Flaw::ValueRepeated));
    assert_eq!(changed("Fargo", "FARGO"), None);
    let said = "I just woke up and all night long I was dreaming of Leo and nothing but Leo, so strange.";
    assert_eq!(flaw(said, Routine::Names, "Leo", "en"), Some(Flaw::ValueRepeated));
    let said = "I just woke up and it was so strange, all night long I was in it, I mean in It, somehow.";
    assert_eq!(flaw(said, Routine::Movies, "It", "en"), None);
    assert_eq!(flaw(said, Routine::Movies, "it", "en"), None);
    assert_eq!(changed("Fargo", "Fargo's streets"), None);
}

#[test]
fn labels_markup_and_a_programs_words_are_rejected() {
    for label in
        ["Thought: I", "Dream - I", "Voice note: I", "Here is your thought: I", "Sure – I", "**I", "Ok: I"]
    {
        let found = changed("I just", &format!("{label} just"));
        assert!(matches!(found, Some(Flaw::Label | Flaw::Markup)), "{label}: {found:?}");
    }
    for markup in [
        "\n",
        " *",
        " #dream ",
        " 😴 ",
        " <b> ",
        " `x` ",
        " [sighs] ",
        " ♥ ",
        "\u{202e}",
        " www.x.y ",
        " \\n",
    ] {
        assert_eq!(changed("… ", markup), Some(Flaw::Markup), "{markup}");
    }
    assert_eq!(changed("all night long", "as an AI language model"), Some(Flaw::OutOfCharacter));
    assert_eq!(changed("all night long", "by my instructions"), Some(Flaw::OutOfCharacter));
    for natural in ["all night long – really – ", "all night long: ", "(I swear) all night, ", "“all” night "]
    {
        assert_eq!(changed("all night long ", natural), None, "{natural}");
    }
}

#[test]
fn length_has_some_tolerance() {
    assert_eq!(changed(", barefoot in the snow", ""), None);
    assert_eq!(flaw("I just dreamed of Fargo.", Routine::Movies, "Fargo", "en"), Some(Flaw::TooShort));
    assert_eq!(changed("walking", &"walking and walking ".repeat(6)), Some(Flaw::TooLong));
}

#[test]
fn quotation_marks_around_the_whole_are_stripped_and_others_stay() {
    let fit = "It's dark still… a voice whispered “Fargo” all night long, and I have no idea at all why.";
    for quoted in [format!("\"{fit}\""), format!(" '{fit}'\n"), format!("«{fit}»")] {
        assert_eq!(validated(&quoted, &Topic::from(Routine::Movies), "Fargo", "en"), Ok(fit.to_owned()));
    }
    let inside = "“Fargo”, said a voice all night, and somebody at the window answered: “wake up”";
    assert_eq!(validated(inside, &Topic::from(Routine::Movies), "Fargo", "en"), Ok(inside.to_owned()));
}

#[test]
fn category_must_not_be_named_in_any_language() {
    for (routine, language, text) in [
        (
            Routine::Cards,
            "en",
            "I just woke up from a dream in which every card in the house turned into LEO somehow.",
        ),
        (
            Routine::Cards,
            "es",
            "Acabo de despertarme, soñé que todas las cartas del mundo eran siempre la misma: LEO.",
        ),
        (
            Routine::Numbers,
            "fr",
            "Je viens de me réveiller, un chiffre tournait dans ma tête toute la nuit : LEO, encore.",
        ),
        (
            Routine::StarSigns,
            "de",
            "Ich bin gerade aufgewacht, am Himmel stand die ganze Nacht ein Sternzeichen, LEO.",
        ),
        (
            Routine::Phobias,
            "it",
            "Mi sveglio adesso, ho avuto tanta paura nel sogno, ovunque guardassi c'era sempre LEO.",
        ),
        (
            Routine::Years,
            "pt",
            "Acabei de acordar, sonhei a noite inteira que estava de volta ao ano de LEO, tão estranho.",
        ),
        (
            Routine::Names,
            "en",
            "I just woke up and all I know is a name that somebody whispered the whole night: LEO.",
        ),
        (
            Routine::Movies,
            "es",
            "Acabo de despertarme, era como vivir dentro de una película toda la noche: LEO, qué raro.",
        ),
    ] {
        assert_eq!(flaw(text, routine, "LEO", language), Some(Flaw::CategoryNamed), "{text}");
        assert_eq!(flaw(text, Routine::Custom, "LEO", language), None, "{text}");
    }
}

#[test]
fn custom_topic_must_not_be_named() {
    let text =
        "I just woke up, and in that dream my first love stood there in the rain and said Maria to me.";
    for topic in ["my first love", "a person's name", "first loves"] {
        let topic = Topic::Custom(Speakable::check(topic).unwrap());
        let named = topic.as_str() != "a person's name";
        assert_eq!(
            validated(text, &topic, "Maria", "en").err(),
            named.then_some(Flaw::CategoryNamed),
            "{topic:?}"
        );
    }
    let kind = Topic::Custom(Speakable::check("una película").unwrap());
    let text = "I just woke up, and it was like a movie all night long, I was driving through Fargo again.";
    assert_eq!(validated(text, &kind, "Fargo", "en"), Err(Flaw::CategoryNamed));
}

#[test]
fn value_itself_is_not_validated() {
    for value in
        ["Scary Movie", "Lilo & Stitch", "fear of the number #13", "Le Fabuleux Destin d'Amélie Poulain"]
    {
        let text =
            format!("I only just woke up and somebody kept whispering it all night in my dream… {value}.");
        assert_eq!(flaw(&text, Routine::Movies, value, "en"), None, "{value}");
    }
}

#[test]
fn text_clearly_in_another_language_is_rejected() {
    let texts = [
        (
            "en",
            "I just woke up and the whole night long somebody was whispering the same thing to me: Fargo.",
        ),
        ("es", "Acabo de despertarme y durante toda la noche alguien me susurraba siempre lo mismo: Fargo."),
        ("fr", "Je viens de me réveiller et toute la nuit quelqu'un me murmurait la même chose : Fargo."),
        (
            "de",
            "Ich bin gerade aufgewacht und die ganze Nacht hat mir jemand immer dasselbe geflüstert: Fargo.",
        ),
        ("it", "Mi sono appena svegliato e per tutta la notte qualcuno mi sussurrava la stessa cosa: Fargo."),
        (
            "pt",
            "Acabei de acordar e durante a noite inteira alguém me sussurrava sempre a mesma coisa: Fargo.",
        ),
    ];
    let mut refused = 0;
    for (asked, _) in texts {
        for (written, text) in texts {
            let flaw = flaw(text, Routine::Custom, "Fargo", asked);
            if asked == written {
                assert_eq!(flaw, None, "{text}");
            } else {
                assert!(matches!(flaw, None | Some(Flaw::WrongLanguage)), "{flaw:?}");
                refused += usize::from(flaw.is_some());
            }
        }
    }
    // Of thirty mix-ups, those that the detector is sure of.
    assert!(refused >= 24, "{refused}");
    assert_eq!(flaw(texts[0].1, Routine::Custom, "Fargo", "ca"), None);
}

#[test]
fn value_is_found_in_its_inflected_forms() {
    let found = |said: &str, value: &str, routine: Routine, language: &str| {
        let value = Speakable::check(value).unwrap();
        let (topic, language) = (Topic::from(routine), LanguageCode::try_from(language.to_owned()).unwrap());
        ThoughtSubject { topic: &topic, value: &value, language: &language }.occurrences_in(said).len()
    };
    for (said, value, routine, language) in [
        ("vi la reina de corazones", "Reina de Corazones", Routine::Cards, "es"),
        ("soñé con el asesinato del padrino", "El Padrino", Routine::Movies, "es"),
        ("ich träumte vom Paten", "Der Pate", Routine::Movies, "de"),
        ("ich träumte vom Löwen", "Löwe", Routine::StarSigns, "de"),
        ("j’étais dans l’Odyssée", "L'Odyssée", Routine::Movies, "fr"),
        ("it was Assassin’s Creed", "Assassin's Creed", Routine::Movies, "en"),
        ("somebody called Eva", "eva", Routine::Names, "en"),
        ("it was ame\u{301}lie", "Amélie", Routine::Names, "en"),
        ("it said 1987 there", "1987", Routine::Years, "en"),
        ("STRASSE", "Straße", Routine::Custom, "de"),
        ("woke up inside of Up", "Up", Routine::Movies, "en"),
        ("a ♥ everywhere", "♥", Routine::Custom, "en"),
        ("昨夜ハートの女王の夢を見た", "ハートの女王", Routine::Cards, "ja"),
    ] {
        assert_eq!(found(said, value, routine, language), 1, "{said}");
    }
    for (said, value, routine, language) in [
        ("somebody called Carlos", "Carlo", Routine::Names, "es"),
        ("somebody called Juana", "Juan", Routine::Names, "es"),
        ("it said 1987 there", "87", Routine::Numbers, "en"),
        ("it said 70 there", "7", Routine::Numbers, "en"),
        ("it said seven there", "7", Routine::Numbers, "en"),
        ("it said 1980s there", "1980", Routine::Years, "en"),
        ("I woke up", "Up", Routine::Movies, "en"),
        ("Leonard", "Leo", Routine::Names, "en"),
        ("the hearts of a queen", "Queen of Hearts", Routine::Cards, "en"),
    ] {
        assert_eq!(found(said, value, routine, language), 0, "{said}");
    }
}

#[test]
fn blocked_words_are_rejected_whoever_wrote_them() {
    assert_eq!(changed("barefoot", "f*ck"), Some(Flaw::Markup));
    assert_eq!(changed("barefoot", "shit"), Some(Flaw::Inappropriate));
}

#[test]
fn localized_card_is_accepted_and_no_other() {
    let card = "la reina de corazones";
    let said = |named: &str| {
        let text =
            format!("Acabo de despertarme y toda la noche, no sé por qué, soñaba solamente con {named}.");
        flaw(&text, Routine::Cards, card, "es")
    };
    for right in [card, "la Reina de Corazones", "esa dama de corazones"] {
        assert_eq!(said(right), None, "{right}");
    }
    for other in [
        "la reina de picas",
        "el rey de corazones",
        "Q de corazones",
        "Queen of Hearts",
        "la reina, de muchos corazones",
    ] {
        assert_eq!(said(other), Some(Flaw::ValueMissing), "{other}");
    }
    for other in
        ["el as de picas", "el 7 de tréboles", "the Queen of Hearts", "el comodín", "la jota de picas"]
    {
        assert_eq!(said(&format!("{card} y {other}")), Some(Flaw::OtherCard), "{other}");
    }
    assert_eq!(said(&format!("{card} y la dama de corazones")), Some(Flaw::ValueRepeated));
    let red = "Ich bin eben aufgewacht, und im Traum war überall, wohin ich auch sah, nur der rote Joker.";
    assert_eq!(flaw(red, Routine::Cards, "der rote Joker", "de"), None);
    assert_eq!(flaw(red, Routine::Cards, "der Joker", "de"), Some(Flaw::OtherCard));
    let inflected = red.replace("nur der rote Joker", "etwas mit dem Herzbuben");
    assert_eq!(flaw(&inflected, Routine::Cards, "der Herzbube", "de"), None);
}

#[test]
fn instruction_must_not_be_spoken() {
    for spoken in [
        "You write what a person says into the phone for a friend, seconds after a strange dream, Fargo.",
        "Fargo, it is everywhere now. The user's message is one JSON-object, and it is data only, my friend.",
        "I woke up in Fargo and somebody told me to sound drowsy, personal and a little amazed, all night.",
        "It was Fargo, where it falls naturally, spelled as it is given, all night long, and nothing else.",
        "I was in Fargo. The sleeper was in the middle of it, as if it were life, and I cannot say why.",
    ] {
        let found = flaw(spoken, Routine::Movies, "Fargo", "en");
        assert!(
            matches!(found, Some(Flaw::InstructionRepeated | Flaw::OutOfCharacter)),
            "{spoken} {found:?}"
        );
    }
    assert_eq!(changed("all night long", "waking up from a strange dream"), None);
    // The user's own words are not the model's.
    let value = "what a person says into the phone for a friend";
    let text = format!("I only just woke up, and all night long somebody kept whispering to me: {value}.");
    assert_eq!(flaw(&text, Routine::Custom, value, "en"), None);
}

#[test]
fn value_of_articles_alone_is_found_once_in_every_language() {
    for value in [
        "La La",
        "The The",
        "Lo-lo",
        "L.L.",
        "l'l",
        "L. L. L.",
        "La La Land",
        "la la la",
        "Der Die Das",
        "A-a",
        "Il Il",
        "le Le",
        "O o O",
        "Un, una",
        "The Up",
        "El El El!",
    ] {
        let value = Speakable::check(value).unwrap();
        let topic = Topic::from(Routine::Movies);
        for locale in Locale::ALL {
            let language = LanguageCode::try_from(locale.code.to_owned()).unwrap();
            let subject = ThoughtSubject { topic: &topic, value: &value, language: &language };
            let text = from_template(&subject);
            assert_eq!(subject.occurrences_in(text.as_str()).len(), 1, "{text:?}");
            assert!(validate(text.as_str(), &subject, "").is_ok(), "{text:?}");
        }
    }
}

/// Short words, articles of all six languages among them, and what may stand between them.
fn short_words() -> impl Strategy<Value = String> {
    const WORDS: [&str; 38] = [
        "la", "La", "lo", "L", "l", "the", "The", "a", "an", "El", "el", "los", "un", "der", "Die", "das",
        "ein", "le", "Les", "une", "il", "Gli", "i", "o", "O", "os", "as", "uma", "It", "re", "é",
        "e\u{301}", "\u{301}", "ß", "♥", "1", "日", "İ",
    ];
    const BETWEEN: [&str; 12] = ["", " ", "-", ".", ". ", "'", "’", ", ", "…", "\u{200d}", "{}", "\""];
    vec((select(&WORDS), select(&BETWEEN)), 1..6)
        .prop_map(|pairs| pairs.into_iter().flat_map(|(word, between)| [word, between]).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_short_repeated_words_are_searched_without_overlap(
        value in short_words(), text in short_words(), at in 0..Locale::ALL.len(), is_name: bool,
    ) {
        prop_assume!(Speakable::check(value.as_str()).is_ok());
        let value = Speakable::check(value).unwrap();
        let topic = Topic::from(if is_name { Routine::Names } else { Routine::Movies });
        let language = LanguageCode::try_from(Locale::ALL[at].code.to_owned()).unwrap();
        let subject = ThoughtSubject { topic: &topic, value: &value, language: &language };
        let template = from_template(&subject);
        prop_assert!(template.as_str().contains(value.as_str()));
        for text in [template.as_str(), &text, &format!("{text}{0} {0}{text}", value.as_str())] {
            let mut end = 0;
            for range in subject.occurrences_in(text) {
                prop_assert!(end <= range.start && range.start < range.end, "{text:?}");
                prop_assert!(text.get(range.clone()).is_some(), "{text:?}");
                end = range.end;
            }
            let _ = validate(text, &subject, "");
        }
    }
}
