//! The languages that the show speaks well: how each names the kinds of things, and its dreams for when Gemini has
//! none.

use whatlang::Lang;

use super::Routine;
use crate::settings::LanguageCode;

/// A language that has words of its own here.
pub struct Locale {
    /// ISO 639-1.
    pub code: &'static str,
    /// Its English name.
    pub name: &'static str,
    /// What the detector calls it.
    pub detected: Lang,
    /// Ready-made thoughts with `{}` for the value. They fit any kind of value, tell nothing of its kind nor of the
    /// speaker's sex, and come to 80–120 characters with a value of up to 25.
    pub dreams: [&'static str; 3],
    /// What a dream of a routine must not say: the words for its kind, in lower case and without accents.
    kinds: [&'static [&'static str]; 7],
}

/// The routines in the order of [`Locale::kinds`]; `custom` has no kind.
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
    /// All of them; English, which stands in for every other language, comes first.
    pub const ALL: &[Self] = &[ENGLISH, SPANISH, FRENCH, GERMAN, ITALIAN, PORTUGUESE];

    /// The locale of a language that has one.
    pub fn of(language: &LanguageCode) -> Option<&'static Self> {
        Self::ALL.iter().find(|locale| locale.code == language.code())
    }

    /// The locale of a language, or English.
    pub fn or_english(language: &LanguageCode) -> &'static Self {
        Self::of(language).unwrap_or(&Self::ALL[0])
    }

    /// The words for a routine's kind of thing.
    pub fn kind(&self, routine: Routine) -> &'static [&'static str] {
        ROUTINES.iter().position(|known| *known == routine).map_or(&[], |at| self.kinds[at])
    }

    /// The routine whose kind of thing a word names, in any language.
    pub fn routine_named(word: &str) -> Option<Routine> {
        let names = |routine: &Routine| Self::ALL.iter().any(|locale| locale.kind(*routine).contains(&word));
        ROUTINES.into_iter().find(names)
    }
}

const ENGLISH: Locale = Locale {
    code: "en",
    name: "English",
    detected: Lang::Eng,
    dreams: [
        "I just woke up, and this dream was so strange… wherever I looked, there it was again: {}.",
        "Hey, I'm barely awake… all night long I was dreaming, and all I can still remember is {}.",
        "Wow, what a weird dream… I've only just opened my eyes, and I can't stop thinking of {}.",
    ],
    kinds: [
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
    dreams: [
        "Acabo de despertarme y he soñado algo rarísimo… mirara donde mirara, siempre aparecía {}.",
        "Uf, todavía estoy medio en sueños… no recuerdo casi nada de esta noche, solamente {}.",
        "Acabo de abrir los ojos y aún le doy vueltas al sueño… una voz me repetía bajito: {}.",
    ],
    kinds: [
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
    dreams: [
        "Je viens de me réveiller, quel rêve étrange… partout où je regardais, il y avait {}.",
        "J'ouvre à peine les yeux… de toute la nuit, je ne me rappelle qu'une seule chose : {}.",
        "Attends, je sors d'un rêve complètement fou… une voix me répétait sans cesse, tout bas : {}.",
    ],
    kinds: [
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
    dreams: [
        "Ich bin gerade erst aufgewacht, so ein seltsamer Traum… wohin ich auch sah, überall: {}.",
        "Puh, ich bin noch gar nicht richtig wach… von der ganzen Nacht weiß ich nur noch eins: {}.",
        "Ich hab gerade die Augen aufgemacht… im Traum hat eine Stimme immer wieder geflüstert: {}.",
    ],
    kinds: [
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
    dreams: [
        "Mi sveglio adesso da un sogno stranissimo… ovunque guardassi, c'era sempre e solo {}.",
        "Uff, ho ancora gli occhi mezzi chiusi… di tutta la notte mi ricordo soltanto questo: {}.",
        "Apro gli occhi adesso e ci penso ancora… nel sogno una voce mi ripeteva piano piano: {}.",
    ],
    kinds: [
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
    dreams: [
        "Acabei de acordar de um sonho tão estranho… para onde quer que olhasse, lá estava {}.",
        "Ainda nem abri bem os olhos… da noite inteira só me ficou uma coisa na cabeça, mais nada: {}.",
        "Abri os olhos agora mesmo e não me sai do ouvido… no sonho, uma voz repetia baixinho: {}.",
    ],
    kinds: [
        &["carta", "cartas", "naipe", "naipes", "baralho"],
        &["numero", "numeros", "algarismo", "algarismos", "cifra"],
        &["signo", "signos", "zodiaco", "horoscopo"],
        &["medo", "medos", "fobia", "fobias", "temor"],
        &["ano", "anos"],
        &["nome", "nomes"],
        &["filme", "filmes", "cinema"],
    ],
};
