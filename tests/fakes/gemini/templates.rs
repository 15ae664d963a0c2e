//! The text that the model writes: a dream, told right after waking up, in 80 to 120 characters.

use serde::Deserialize;

/// The prompt, as the backend sends it.
#[derive(Deserialize)]
struct SpectatorPrompt {
    #[serde(default)]
    topic: String,
    value: String,
    #[serde(default)]
    language: String,
}

const LENGTH: std::ops::RangeInclusive<usize> = 80..=120;

/// Fills a template with the prompt's value, or with a fixed one if `prompt` is not JSON with a `value`. `turn` chooses
/// among the templates that fit.
pub(super) fn generate(prompt: &str, turn: usize) -> String {
    let prompt = serde_json::from_str::<SpectatorPrompt>(prompt).unwrap_or_else(|_| SpectatorPrompt {
        topic: String::new(),
        value: "an open door".to_owned(),
        language: "en".to_owned(),
    });
    let topic = prompt.topic.to_lowercase();
    let templates = templates(&prompt.language);
    // A text must not name the topic, nor contain the value twice.
    let texts: Vec<String> = templates
        .iter()
        .filter(|template| topic.is_empty() || !template.to_lowercase().contains(&topic))
        .map(|template| template.replace("{}", &prompt.value))
        .filter(|text| text.matches(&prompt.value).count() == 1)
        .collect();
    let fitting: Vec<&String> = texts.iter().filter(|text| LENGTH.contains(&text.chars().count())).collect();
    match fitting.as_slice() {
        // A value too long for all of them gets the shortest.
        [] => texts
            .iter()
            .min_by_key(|text| text.chars().count())
            .cloned()
            .unwrap_or_else(|| templates[0].replace("{}", &prompt.value)),
        fitting => fitting[turn % fitting.len()].clone(),
    }
}

/// Templates of about 60, 75, 85 and 100 characters, so that one fits short and long values.
fn templates(language: &str) -> &'static [&'static str] {
    match language.split('-').next().unwrap_or_default() {
        "es" => &[
            "Acabo de despertar y todavía lo veo delante de mí: {}.",
            "Me acabo de despertar de un sueño rarísimo y solo recuerdo una cosa: {}.",
            "Recién despierto, con el corazón a mil: en el sueño alguien me susurraba «{}» muy despacio.",
            "Acabo de abrir los ojos y no se me quita de la cabeza: soñé toda la noche, sin parar, con {}.",
        ],
        "fr" => &[
            "Je viens de me réveiller et je le vois encore : {}.",
            "Je me réveille à peine d'un rêve étrange, et il ne m'en reste que ceci : {}.",
            "Je viens d'ouvrir les yeux, le cœur battant : dans mon rêve, quelqu'un murmurait « {} ».",
            "À peine réveillé, je n'arrive pas à m'en défaire : toute la nuit j'ai rêvé, encore et encore, de {}.",
        ],
        "de" => &[
            "Ich bin gerade aufgewacht und sehe es noch vor mir: {}.",
            "Gerade aufgewacht aus einem seltsamen Traum, und nur eines ist geblieben: {}.",
            "Ich bin eben erst wach, mein Herz klopft noch: Im Traum flüsterte mir jemand „{}“ ins Ohr.",
            "Eben die Augen aufgemacht, und es lässt mich nicht los: Die ganze Nacht hindurch träumte ich von {}.",
        ],
        "it" => &[
            "Mi sono appena svegliato e lo vedo ancora davanti a me: {}.",
            "Mi sveglio adesso da un sogno stranissimo, e mi resta una cosa sola: {}.",
            "Appena sveglio, con il cuore in gola: nel sogno qualcuno mi sussurrava «{}» piano piano.",
            "Ho appena aperto gli occhi e non riesco a togliermelo dalla testa: tutta la notte ho sognato {}.",
        ],
        "pt" => &[
            "Acabei de acordar e ainda o vejo à minha frente: {}.",
            "Acordei agora mesmo de um sonho muito estranho e só me ficou uma coisa: {}.",
            "Acabei de acordar, com o coração aos saltos: no sonho alguém me sussurrava «{}» devagar.",
            "Mal abri os olhos e isto não me sai da cabeça: sonhei a noite inteira, sem descanso, com {}.",
        ],
        _ => &[
            "I just woke up and I can still see it before me: {}.",
            "I just woke up from the strangest dream, and only one thing stayed: {}.",
            "Just woke up, heart still pounding: in my dream somebody kept whispering “{}” in my ear.",
            "I only just opened my eyes and I can't shake it off: all night long I was dreaming about {}.",
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generate_about(topic: &str, value: &str, language: &str, turn: usize) -> String {
        generate(
            &serde_json::json!({ "topic": topic, "value": value, "language": language }).to_string(),
            turn,
        )
    }

    #[test]
    fn text_contains_the_value_once_in_80_to_120_characters_of_its_language() {
        for language in ["en", "es", "fr", "de", "it", "pt"] {
            for value in [
                "7",
                "Leo",
                "Queen of Hearts",
                "The Shawshank Redemption",
                "a fear of very tall spiders in the dark",
            ] {
                for turn in 0..4 {
                    let dream = generate_about("playing cards", value, language, turn);
                    assert_eq!(dream.matches(value).count(), 1, "{dream}");
                    assert!(LENGTH.contains(&dream.chars().count()), "{} {dream}", dream.chars().count());
                }
            }
        }
        assert_ne!(generate_about("cards", "Leo", "en", 0), generate_about("cards", "Leo", "de", 0));
        assert_ne!(generate_about("cards", "Leo", "en", 0), generate_about("cards", "Leo", "en", 1));
    }

    #[test]
    fn text_never_names_the_topic() {
        for turn in 0..4 {
            assert!(!generate_about("dream", "Leo", "en", turn).contains("dream"));
        }
    }

    #[test]
    fn text_contains_the_value_once_even_if_a_template_has_it() {
        assert_eq!(generate_about("words", "night", "en", 0).matches("night").count(), 1);
    }

    #[test]
    fn text_is_written_for_any_other_prompt() {
        assert!(generate("Tell me something.", 0).contains("an open door"));
    }
}
