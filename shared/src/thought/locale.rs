//! The six supported languages: the words that each has for the routines' categories, and its built-in templates, which
//! are spoken when Gemini has no usable response.

use whatlang::Lang;

use super::routine::Routine;
use crate::settings::LanguageCode;

/// A language with templates of its own. Every other language falls back to English.
pub struct Locale {
    /// ISO 639-1.
    pub code: &'static str,
    /// Its English name.
    pub name: &'static str,
    /// As the language detector calls it.
    pub detected: Lang,
    /// Thoughts with `{}` for the value. They fit any value, reveal neither its category nor the speaker's sex, and have
    /// 80 to 120 characters with a value of up to 25.
    pub templates: [&'static str; 3],
    /// The words for each routine's category, in lower case and without accents. A thought must not contain them.
    category_words: [&'static [&'static str]; 7],
}

/// The routines in the order of [`Locale::category_words`]; `custom` has no category.
const ROUTINES: [Routine; 7] = [
    Routine::Cards,
    Routine::Numbers,
    Routine::StarSigns,
    Routine::Phobias,
    Routine::Years,
    Routine::Names,
    Routine::Movies,
];

impl Locale {
    /// English, the fallback, comes first.
    pub const ALL: &[Self] = &[ENGLISH, SPANISH, FRENCH, GERMAN, ITALIAN, PORTUGUESE];

    /// `None` for a language that is not supported.
    pub fn for_language(language: &LanguageCode) -> Option<&'static Self> {
        Self::ALL.iter().find(|locale| locale.code == language.code())
    }

    pub fn or_english(language: &LanguageCode) -> &'static Self {
        Self::for_language(language).unwrap_or(&Self::ALL[0])
    }

    pub fn category_words(&self, routine: Routine) -> &'static [&'static str] {
        ROUTINES.iter().position(|known| *known == routine).map_or(&[], |at| self.category_words[at])
    }

    /// The routine whose category a word names, in any language.
    pub fn routine_for_word(word: &str) -> Option<Routine> {
        let is_named = |routine: &Routine| {
            Self::ALL.iter().any(|locale| locale.category_words(*routine).contains(&word))
        };
        ROUTINES.into_iter().find(is_named)
    }
}

const ENGLISH: Locale = Locale {
    code: "en",
    name: "English",
    detected: Lang::Eng,
    templates: [
        "I just woke up, and this dream was so strange… wherever I looked, there it was again: {}.",
        "Hey, I'm barely awake… all night long I was dreaming, and all I can still remember is {}.",
        "Wow, what a weird dream… I've only just opened my eyes, and I can't stop thinking of {}.",
    ],
    category_words: [
        &["card", "cards"],
        &["number", "numbers", "numeral", "digit", "digits"],
        &["sign", "signs", "zodiac", "horoscope"],
        &["fear", "fears", "phobia", "phobias"],
        &["year", "years"],
        &["name", "names", "named"],
        &["film", "films", "movie", "movies", "cinema"],
    ],
};

const SPANISH: Locale = Locale {
    code: "es",
    name: "Spanish",
    detected: Lang::Spa,
    templates: [
        "Acabo de despertarme y he soñado algo rarísimo… mirara donde mirara, siempre aparecía {}.",
        "Uf, todavía estoy medio en sueños… no recuerdo casi nada de esta noche, solamente {}.",
        "Acabo de abrir los ojos y aún le doy vueltas al sueño… una voz me repetía bajito: {}.",
    ],
    category_words: [
        &["carta", "cartas", "naipe", "naipes", "baraja"],
        &["numero", "numeros", "cifra", "cifras", "digito", "digitos"],
        &["signo", "signos", "zodiaco", "horoscopo"],
        &["miedo", "miedos", "fobia", "fobias", "temor"],
        &["ano", "anos"],
        &["nombre", "nombres"],
        &["pelicula", "peliculas", "peli", "pelis", "film", "cine"],
    ],
};

const FRENCH: Locale = Locale {
    code: "fr",
    name: "French",
    detected: Lang::Fra,
    templates: [
        "Je viens de me réveiller, quel rêve étrange… partout où je regardais, il y avait {}.",
        "J'ouvre à peine les yeux… de toute la nuit, je ne me rappelle qu'une seule chose : {}.",
        "Attends, je sors d'un rêve complètement fou… une voix me répétait sans cesse, tout bas : {}.",
    ],
    category_words: [
        &["carte", "cartes"],
        &["nombre", "nombres", "chiffre", "chiffres", "numero", "numeros"],
        &["signe", "signes", "zodiaque", "horoscope"],
        &["peur", "peurs", "phobie", "phobies", "crainte"],
        &["annee", "annees"],
        &["nom", "noms", "prenom", "prenoms"],
        &["film", "films", "cinema"],
    ],
};

const GERMAN: Locale = Locale {
    code: "de",
    name: "German",
    detected: Lang::Deu,
    templates: [
        "Ich bin gerade erst aufgewacht, so ein seltsamer Traum… wohin ich auch sah, überall: {}.",
        "Puh, ich bin noch gar nicht richtig wach… von der ganzen Nacht weiß ich nur noch eins: {}.",
        "Ich hab gerade die Augen aufgemacht… im Traum hat eine Stimme immer wieder geflüstert: {}.",
    ],
    category_words: [
        &["karte", "karten", "spielkarte", "spielkarten", "kartenspiel"],
        &["zahl", "zahlen", "nummer", "nummern", "ziffer", "ziffern"],
        &["sternzeichen", "tierkreiszeichen", "tierkreis", "horoskop"],
        &["angst", "angste", "phobie", "phobien", "furcht"],
        &["jahr", "jahre", "jahren", "jahres", "jahreszahl"],
        &["name", "namen", "vorname", "vornamen"],
        &["film", "filme", "films", "kino"],
    ],
};

const ITALIAN: Locale = Locale {
    code: "it",
    name: "Italian",
    detected: Lang::Ita,
    templates: [
        "Mi sveglio adesso da un sogno stranissimo… ovunque guardassi, c'era sempre e solo {}.",
        "Uff, ho ancora gli occhi mezzi chiusi… di tutta la notte mi ricordo soltanto questo: {}.",
        "Apro gli occhi adesso e ci penso ancora… nel sogno una voce mi ripeteva piano piano: {}.",
    ],
    category_words: [
        &["carta", "carte"],
        &["numero", "numeri", "cifra", "cifre"],
        &["segno", "segni", "zodiaco", "zodiacale", "oroscopo"],
        &["paura", "paure", "fobia", "fobie", "timore"],
        &["anno", "anni"],
        &["nome", "nomi"],
        &["film", "cinema", "pellicola"],
    ],
};

const PORTUGUESE: Locale = Locale {
    code: "pt",
    name: "Portuguese",
    detected: Lang::Por,
    templates: [
        "Acabei de acordar de um sonho tão estranho… para onde quer que olhasse, lá estava {}.",
        "Ainda nem abri bem os olhos… da noite inteira só me ficou uma coisa na cabeça, mais nada: {}.",
        "Abri os olhos agora mesmo e não me sai do ouvido… no sonho, uma voz repetia baixinho: {}.",
    ],
    category_words: [
        &["carta", "cartas", "naipe", "naipes", "baralho"],
        &["numero", "numeros", "algarismo", "algarismos", "cifra"],
        &["signo", "signos", "zodiaco", "horoscopo"],
        &["medo", "medos", "fobia", "fobias", "temor"],
        &["ano", "anos"],
        &["nome", "nomes"],
        &["filme", "filmes", "cinema"],
    ],
};
