//! What the app's choosers send in English whatever the language is, in the six languages. The performer sends anything
//! else in their own words, and it stays as it is.

use super::{locale::Locale, words::words};

/// English names separated by `|`, then the other languages in the order of [`Locale::ALL`], with articles where people
/// say one.
type Row = [&'static str; 6];

/// The translation, if the value is one of the English names.
pub fn translate(rows: &[Row], value: &str, locale: &Locale) -> Option<&'static str> {
    let column = Locale::ALL.iter().position(|known| known.code == locale.code)?;
    // "Arachnophobia (fear of spiders)", "the fear of spiders".
    let name = value.split('(').next().unwrap_or_default();
    let mut wanted: Vec<String> = words(name).map(|word| word.normalized).collect();
    for prefix in [&["a"][..], &["the"], &["fear", "of"], &["the"]] {
        if wanted.len() > prefix.len() && wanted.iter().zip(prefix).all(|(word, prefix)| word == prefix) {
            wanted.drain(..prefix.len());
        }
    }
    let wanted = wanted.join(" ");
    let row = rows.iter().find(|row| row[0].split('|').any(|name| name == wanted))?;
    // In English the value is said as it was sent.
    (column > 0).then_some(row[column])
}

pub const STAR_SIGNS: &[Row] = &[
    ["aries", "Aries", "le Bélier", "der Widder", "l'Ariete", "Áries"],
    ["taurus", "Tauro", "le Taureau", "der Stier", "il Toro", "Touro"],
    ["gemini", "Géminis", "les Gémeaux", "die Zwillinge", "i Gemelli", "Gêmeos"],
    ["cancer", "Cáncer", "le Cancer", "der Krebs", "il Cancro", "Câncer"],
    ["leo", "Leo", "le Lion", "der Löwe", "il Leone", "Leão"],
    ["virgo", "Virgo", "la Vierge", "die Jungfrau", "la Vergine", "Virgem"],
    ["libra", "Libra", "la Balance", "die Waage", "la Bilancia", "Libra"],
    ["scorpio|scorpius", "Escorpio", "le Scorpion", "der Skorpion", "lo Scorpione", "Escorpião"],
    ["sagittarius", "Sagitario", "le Sagittaire", "der Schütze", "il Sagittario", "Sagitário"],
    [
        "capricorn|capricornus",
        "Capricornio",
        "le Capricorne",
        "der Steinbock",
        "il Capricorno",
        "Capricórnio",
    ],
    ["aquarius", "Acuario", "le Verseau", "der Wassermann", "l'Acquario", "Aquário"],
    ["pisces", "Piscis", "les Poissons", "die Fische", "i Pesci", "Peixes"],
    ["ophiuchus", "Ofiuco", "le Serpentaire", "der Schlangenträger", "l'Ofiuco", "Serpentário"],
];

pub const FEARS: &[Row] = &[
    ["spiders|spider", "las arañas", "les araignées", "Spinnen", "i ragni", "as aranhas"],
    ["snakes|snake", "las serpientes", "les serpents", "Schlangen", "i serpenti", "as cobras"],
    ["heights|height", "las alturas", "les hauteurs", "große Höhen", "le altezze", "as alturas"],
    ["dark|darkness", "la oscuridad", "le noir", "die Dunkelheit", "il buio", "o escuro"],
    ["dogs|dog", "los perros", "les chiens", "Hunde", "i cani", "os cães"],
    ["cats|cat", "los gatos", "les chats", "Katzen", "i gatti", "os gatos"],
    ["mice|mouse", "los ratones", "les souris", "Mäuse", "i topi", "os ratos"],
    ["rats|rat", "las ratas", "les rats", "Ratten", "i ratti", "as ratazanas"],
    ["birds|bird", "los pájaros", "les oiseaux", "Vögel", "gli uccelli", "os pássaros"],
    ["insects|insect|bugs", "los insectos", "les insectes", "Insekten", "gli insetti", "os insetos"],
    ["bees|bee", "las abejas", "les abeilles", "Bienen", "le api", "as abelhas"],
    ["clowns|clown", "los payasos", "les clowns", "Clowns", "i pagliacci", "os palhaços"],
    ["ghosts|ghost", "los fantasmas", "les fantômes", "Gespenster", "i fantasmi", "os fantasmas"],
    ["flying", "volar", "voler", "das Fliegen", "volare", "voar"],
    ["needles|needle|injections", "las agujas", "les aiguilles", "Spritzen", "gli aghi", "as agulhas"],
    ["blood", "la sangre", "le sang", "Blut", "il sangue", "o sangue"],
    ["water", "el agua", "l'eau", "Wasser", "l'acqua", "a água"],
    ["ocean|sea", "el mar", "la mer", "das Meer", "il mare", "o mar"],
    ["fire", "el fuego", "le feu", "Feuer", "il fuoco", "o fogo"],
    ["death|dying", "la muerte", "la mort", "der Tod", "la morte", "a morte"],
    ["thunder", "los truenos", "le tonnerre", "Donner", "i tuoni", "os trovões"],
    ["storms|thunderstorms", "las tormentas", "les orages", "Gewitter", "i temporali", "as tempestades"],
    [
        "closed spaces|enclosed spaces|confined spaces|small spaces|tight spaces",
        "los espacios cerrados",
        "les espaces clos",
        "enge Räume",
        "gli spazi chiusi",
        "os espaços fechados",
    ],
    [
        "open spaces",
        "los espacios abiertos",
        "les grands espaces",
        "weite Plätze",
        "gli spazi aperti",
        "os espaços abertos",
    ],
    ["crowds|crowd", "las multitudes", "la foule", "Menschenmengen", "la folla", "as multidões"],
    ["germs", "los gérmenes", "les microbes", "Keime", "i germi", "os germes"],
    ["holes", "los agujeros", "les trous", "Löcher", "i buchi", "os buracos"],
    ["elevators|lifts", "los ascensores", "les ascenseurs", "Aufzüge", "gli ascensori", "os elevadores"],
    ["dentist|dentists", "el dentista", "le dentiste", "der Zahnarzt", "il dentista", "o dentista"],
    [
        "public speaking|speaking in public",
        "hablar en público",
        "parler en public",
        "öffentliches Reden",
        "parlare in pubblico",
        "falar em público",
    ],
    ["loneliness|being alone", "la soledad", "la solitude", "die Einsamkeit", "la solitudine", "a solidão"],
    ["failure|failing", "el fracaso", "l'échec", "das Scheitern", "il fallimento", "o fracasso"],
    [
        "arachnophobia",
        "la aracnofobia",
        "l'arachnophobie",
        "die Arachnophobie",
        "l'aracnofobia",
        "a aracnofobia",
    ],
    [
        "claustrophobia",
        "la claustrofobia",
        "la claustrophobie",
        "die Klaustrophobie",
        "la claustrofobia",
        "a claustrofobia",
    ],
    ["acrophobia", "la acrofobia", "l'acrophobie", "die Akrophobie", "l'acrofobia", "a acrofobia"],
    ["agoraphobia", "la agorafobia", "l'agoraphobie", "die Agoraphobie", "l'agorafobia", "a agorafobia"],
    [
        "ophidiophobia",
        "la ofidiofobia",
        "l'ophidiophobie",
        "die Ophidiophobie",
        "l'ofidiofobia",
        "a ofidiofobia",
    ],
    ["cynophobia", "la cinofobia", "la cynophobie", "die Kynophobie", "la cinofobia", "a cinofobia"],
    [
        "entomophobia",
        "la entomofobia",
        "l'entomophobie",
        "die Entomophobie",
        "l'entomofobia",
        "a entomofobia",
    ],
    [
        "ornithophobia",
        "la ornitofobia",
        "l'ornithophobie",
        "die Ornithophobie",
        "l'ornitofobia",
        "a ornitofobia",
    ],
    ["trypophobia", "la tripofobia", "la trypophobie", "die Trypophobie", "la tripofobia", "a tripofobia"],
    [
        "coulrophobia",
        "la coulrofobia",
        "la coulrophobie",
        "die Coulrophobie",
        "la coulrofobia",
        "a coulrofobia",
    ],
    ["nyctophobia", "la nictofobia", "la nyctophobie", "die Nyktophobie", "la nictofobia", "a nictofobia"],
    ["aquaphobia", "la acuafobia", "l'aquaphobie", "die Aquaphobie", "l'acquafobia", "a aquafobia"],
    ["hydrophobia", "la hidrofobia", "l'hydrophobie", "die Hydrophobie", "l'idrofobia", "a hidrofobia"],
    [
        "thalassophobia",
        "la talasofobia",
        "la thalassophobie",
        "die Thalassophobie",
        "la talassofobia",
        "a talassofobia",
    ],
    ["aerophobia", "la aerofobia", "l'aérophobie", "die Aerophobie", "l'aerofobia", "a aerofobia"],
    ["aviophobia", "la aviofobia", "l'aviophobie", "die Aviophobie", "l'aviofobia", "a aviofobia"],
    ["mysophobia", "la misofobia", "la mysophobie", "die Mysophobie", "la misofobia", "a misofobia"],
    ["hemophobia|haemophobia", "la hemofobia", "l'hémophobie", "die Hämophobie", "l'emofobia", "a hemofobia"],
    [
        "glossophobia",
        "la glosofobia",
        "la glossophobie",
        "die Glossophobie",
        "la glossofobia",
        "a glossofobia",
    ],
    [
        "trypanophobia",
        "la tripanofobia",
        "la trypanophobie",
        "die Trypanophobie",
        "la tripanofobia",
        "a tripanofobia",
    ],
    ["astraphobia", "la astrafobia", "l'astraphobie", "die Astraphobie", "l'astrafobia", "a astrafobia"],
    ["pyrophobia", "la pirofobia", "la pyrophobie", "die Pyrophobie", "la pirofobia", "a pirofobia"],
    [
        "thanatophobia",
        "la tanatofobia",
        "la thanatophobie",
        "die Thanatophobie",
        "la tanatofobia",
        "a tanatofobia",
    ],
    ["autophobia", "la autofobia", "l'autophobie", "die Autophobie", "l'autofobia", "a autofobia"],
    [
        "social phobia",
        "la fobia social",
        "la phobie sociale",
        "die soziale Phobie",
        "la fobia sociale",
        "a fobia social",
    ],
];
