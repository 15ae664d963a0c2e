//! Playing cards. The app sends them in English whatever the language is ("Q of Hearts"); they are said as people of the
//! language say them ("la reina de corazones").

use super::{
    locale::Locale,
    words::{normalize, words},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Card {
    Suited {
        /// Ace to king, from 0.
        rank: usize,
        /// Hearts, diamonds, clubs, spades, from 0.
        suit: usize,
    },
    /// Without a colour, red, black, from 0.
    Joker(usize),
}

/// What a language calls the cards. Of several names separated by `|`, the first is spoken, and each is understood.
struct CardWords {
    /// ISO 639-1.
    language: &'static str,
    /// Ace to king, with their articles.
    ranks: [&'static str; 13],
    /// Hearts, diamonds, clubs, spades.
    suits: [&'static str; 4],
    /// Without a colour, red, black.
    jokers: [&'static str; 3],
    /// Between rank and suit; `None` where they make one word, suit first.
    of: Option<&'static str>,
}

/// In the order of [`Locale::ALL`].
const LANGUAGES: [CardWords; 6] = [
    CardWords {
        language: "en",
        ranks: [
            "the Ace",
            "the Two|the Deuce",
            "the Three",
            "the Four",
            "the Five",
            "the Six",
            "the Seven",
            "the Eight",
            "the Nine",
            "the Ten",
            "the Jack",
            "the Queen",
            "the King",
        ],
        suits: ["Hearts|Heart", "Diamonds|Diamond", "Clubs|Club", "Spades|Spade"],
        jokers: ["the Joker", "the red Joker", "the black Joker"],
        of: Some("of"),
    },
    CardWords {
        language: "es",
        ranks: [
            "el as",
            "el dos",
            "el tres",
            "el cuatro",
            "el cinco",
            "el seis",
            "el siete",
            "el ocho",
            "el nueve",
            "el diez",
            "la jota|el jack",
            "la reina|la dama",
            "el rey",
        ],
        suits: ["corazones", "diamantes", "tréboles", "picas"],
        jokers: ["el comodín|el joker", "el comodín rojo|el joker rojo", "el comodín negro|el joker negro"],
        of: Some("de"),
    },
    CardWords {
        language: "fr",
        ranks: [
            "l'as",
            "le deux",
            "le trois",
            "le quatre",
            "le cinq",
            "le six",
            "le sept",
            "le huit",
            "le neuf",
            "le dix",
            "le valet",
            "la dame|la reine",
            "le roi",
        ],
        suits: ["cœur", "carreau", "trèfle", "pique"],
        jokers: ["le joker", "le joker rouge", "le joker noir"],
        of: Some("de"),
    },
    CardWords {
        language: "de",
        ranks: [
            "das Ass",
            "die Zwei",
            "die Drei",
            "die Vier",
            "die Fünf",
            "die Sechs",
            "die Sieben",
            "die Acht",
            "die Neun",
            "die Zehn",
            "der Bube",
            "die Dame|die Königin",
            "der König",
        ],
        suits: ["Herz", "Karo", "Kreuz", "Pik"],
        jokers: ["der Joker", "der rote Joker|roter Joker", "der schwarze Joker|schwarzer Joker"],
        of: None,
    },
    CardWords {
        language: "it",
        ranks: [
            "l'asso",
            "il due",
            "il tre",
            "il quattro",
            "il cinque",
            "il sei",
            "il sette",
            "l'otto",
            "il nove",
            "il dieci",
            "il fante|il jack",
            "la regina|la donna",
            "il re",
        ],
        suits: ["cuori", "quadri", "fiori", "picche"],
        jokers: [
            "il jolly|il joker|la matta",
            "il jolly rosso|il joker rosso",
            "il jolly nero|il joker nero",
        ],
        of: Some("di"),
    },
    CardWords {
        language: "pt",
        ranks: [
            "o ás",
            "o dois",
            "o três",
            "o quatro",
            "o cinco",
            "o seis",
            "o sete",
            "o oito",
            "o nove",
            "o dez",
            "o valete",
            "a dama|a rainha",
            "o rei",
        ],
        suits: ["copas", "ouros", "paus", "espadas"],
        jokers: [
            "o curinga|o coringa|o joker",
            "o curinga vermelho|o coringa vermelho|o joker vermelho",
            "o curinga preto|o coringa preto|o joker preto",
        ],
        of: Some("de"),
    },
];

/// Words of a card's name that say nothing about it.
const FILLERS: &[&str] =
    &["of", "the", "de", "di", "el", "la", "le", "l", "il", "lo", "der", "die", "das", "o"];

impl Card {
    /// The deck, with its jokers.
    pub fn all() -> impl Iterator<Item = Self> {
        let suited = (0..4).flat_map(|suit| (0..13).map(move |rank| Self::Suited { rank, suit }));
        suited.chain((0..3).map(Self::Joker))
    }

    /// A card as the app sends it (`Q of Hearts`), or as somebody may type it in English or in the given language:
    /// "Queen of Hearts", "qh", "Q♥", "la reina de corazones".
    pub fn parse(value: &str, locale: &Locale) -> Option<Self> {
        let mut value = value.to_owned();
        for (symbols, suit) in [
            (&['♥', '♡', '❤'][..], " hearts "),
            (&['♦', '♢'][..], " diamonds "),
            (&['♣', '♧'][..], " clubs "),
            (&['♠', '♤'][..], " spades "),
        ] {
            value = value.replace(symbols, suit);
        }
        let mut parts: Vec<String> = words(&value).map(|word| word.normalized).collect();
        parts.retain(|word| !FILLERS.contains(&word.as_str()));
        // An article here, and elsewhere the ace.
        if parts.len() == 3 && parts[0] == "a" {
            parts.remove(0);
        }
        if let [word] = parts.as_slice()
            // "As" is the ace of no suit in four languages.
            && (word != "as" || value == "AS")
            && let Some(card) = parse_code(word)
        {
            return Some(card);
        }
        [&LANGUAGES[0], words_for(locale)].into_iter().find_map(|names| names.parse(&parts))
    }

    /// As it is said, with its article.
    pub fn spoken(self, locale: &Locale) -> String {
        self.names(locale).swap_remove(0)
    }

    /// Every name of it that can be heard, the spoken one first.
    pub fn names(self, locale: &Locale) -> Vec<String> {
        words_for(locale).names(self)
    }
}

impl CardWords {
    fn names(&self, card: Card) -> Vec<String> {
        let (rank, suit) = match card {
            Card::Suited { rank, suit } => (rank, suit),
            Card::Joker(colour) => return self.jokers[colour].split('|').map(str::to_owned).collect(),
        };
        // The other names of a suit are its singular.
        let suit = self.suits[suit].split('|').next().unwrap_or_default();
        let mut names = Vec::new();
        for name in self.ranks[rank].split('|') {
            if let Some(of) = self.of {
                names.push(format!("{name} {of} {suit}"));
            } else {
                let (article, rank) = name.split_once(' ').unwrap_or(("", name));
                names.push(format!("{article} {suit}{}", rank.to_lowercase()));
                names.push(format!("{article} {suit} {rank}"));
            }
        }
        if (1..10).contains(&rank) {
            let digits = rank + 1;
            names.push(match self.of {
                Some(of) => format!("{digits} {of} {suit}"),
                None => format!("{suit} {digits}"),
            });
        }
        names
    }

    /// From the words of a name without articles, normalized.
    fn parse(&self, parts: &[String]) -> Option<Card> {
        let suited = |rank: &str, suit: &str| {
            Some(Card::Suited { rank: self.parse_rank(rank)?, suit: position(&self.suits, suit)? })
        };
        let card = match parts {
            [one, two] => suited(one, two).or_else(|| suited(two, one)),
            [one] if self.of.is_none() => self.suits.iter().find_map(|suit| {
                let suit = normalize(suit);
                suited(one.strip_prefix(&suit)?, &suit)
            }),
            _ => None,
        };
        card.or_else(|| self.parse_joker(parts))
    }

    fn parse_rank(&self, word: &str) -> Option<usize> {
        parse_rank_code(word).or_else(|| position(&self.ranks, word))
    }

    /// In any order: "red joker", "joker (red)".
    fn parse_joker(&self, parts: &[String]) -> Option<Card> {
        let is_same = |name: &str| {
            let name = significant_words(name);
            name.len() == parts.len() && name.iter().all(|word| parts.contains(word))
        };
        self.jokers.iter().position(|names| names.split('|').any(is_same)).map(Card::Joker)
    }
}

/// The place of a word among names with articles.
fn position(names: &[&str], word: &str) -> Option<usize> {
    names.iter().position(|names| names.split('|').any(|name| significant_words(name) == [word]))
}

fn significant_words(name: &str) -> Vec<String> {
    let mut parts: Vec<String> = words(name).map(|word| word.normalized).collect();
    parts.retain(|word| !FILLERS.contains(&word.as_str()) && word != "a");
    parts
}

/// `qh`, `10s`, `td`.
fn parse_code(code: &str) -> Option<Card> {
    let (rank, suit) = code.split_at_checked(code.len().checked_sub(1)?)?;
    Some(Card::Suited { rank: parse_rank_code(rank)?, suit: "hdcs".find(suit)? })
}

/// The letters and digits of the app, in lower case.
fn parse_rank_code(code: &str) -> Option<usize> {
    match code {
        "a" => Some(0),
        "t" => Some(9),
        "j" => Some(10),
        "q" => Some(11),
        "k" => Some(12),
        digits => (2..=10).find(|rank| rank.to_string() == digits).map(|rank| rank - 1),
    }
}

fn words_for(locale: &Locale) -> &'static CardWords {
    LANGUAGES.iter().find(|names| names.language == locale.code).unwrap_or(&LANGUAGES[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content_filter::Speakable;

    fn locale(code: &str) -> &'static Locale {
        Locale::ALL.iter().find(|locale| locale.code == code).unwrap()
    }

    #[test]
    fn card_is_said_as_people_say_it_in_every_language() {
        for (sent, expected) in [
            (
                "Q of Hearts",
                [
                    "the Queen of Hearts",
                    "la reina de corazones",
                    "la dame de cœur",
                    "die Herzdame",
                    "la regina di cuori",
                    "a dama de copas",
                ],
            ),
            (
                "10 of Clubs",
                [
                    "the Ten of Clubs",
                    "el diez de tréboles",
                    "le dix de trèfle",
                    "die Kreuzzehn",
                    "il dieci di fiori",
                    "o dez de paus",
                ],
            ),
            (
                "A of Spades",
                [
                    "the Ace of Spades",
                    "el as de picas",
                    "l'as de pique",
                    "das Pikass",
                    "l'asso di picche",
                    "o ás de espadas",
                ],
            ),
            (
                "J of Diamonds",
                [
                    "the Jack of Diamonds",
                    "la jota de diamantes",
                    "le valet de carreau",
                    "der Karobube",
                    "il fante di quadri",
                    "o valete de ouros",
                ],
            ),
            ("Joker", ["the Joker", "el comodín", "le joker", "der Joker", "il jolly", "o curinga"]),
            (
                "Red Joker",
                [
                    "the red Joker",
                    "el comodín rojo",
                    "le joker rouge",
                    "der rote Joker",
                    "il jolly rosso",
                    "o curinga vermelho",
                ],
            ),
        ] {
            for (locale, expected) in Locale::ALL.iter().zip(expected) {
                let card = Card::parse(sent, locale).unwrap();
                assert_eq!(card.spoken(locale), expected);
            }
        }
    }

    #[test]
    fn every_card_has_a_name_of_its_own_that_can_be_spoken() {
        for locale in Locale::ALL {
            let mut names = Vec::new();
            for card in Card::all() {
                let spoken = card.spoken(locale);
                assert_eq!(Card::parse(&spoken, locale), Some(card), "{spoken}");
                assert_eq!(Card::parse(&spoken.to_uppercase(), locale), Some(card), "{spoken}");
                assert!(Speakable::check(spoken.as_str()).is_ok(), "{spoken}");
                assert!(spoken.chars().count() <= 40, "{spoken}");
                for name in card.names(locale) {
                    assert_eq!(Card::parse(&name, locale), Some(card), "{name}");
                    names.push(name);
                }
            }
            let count = names.len();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), count, "a name of two cards");
        }
    }

    #[test]
    fn card_is_understood_in_every_form_that_people_type() {
        let ranks = ["A", "2", "3", "4", "5", "6", "7", "8", "9", "10", "J", "Q", "K"];
        let names = [
            "Ace", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Jack", "Queen",
            "King",
        ];
        let suits = [("Hearts", '♥'), ("Diamonds", '♦'), ("Clubs", '♣'), ("Spades", '♠')];
        for locale in Locale::ALL {
            for (suit, (suit_name, symbol)) in suits.into_iter().enumerate() {
                for (rank, (code, name)) in ranks.into_iter().zip(names).enumerate() {
                    let letter = &suit_name[..1];
                    for typed in [
                        format!("{code} of {suit_name}"),
                        format!("{name} of {suit_name}"),
                        format!("the {name} of {suit_name}"),
                        format!("{code} of {suit_name}").to_lowercase(),
                        format!("{name} of {suit_name}").to_uppercase(),
                        format!("{code}{letter}"),
                        format!("{code}{symbol}"),
                        format!("{code} {symbol}\u{fe0f}"),
                        format!("{symbol}{code}"),
                        format!("{code}-{suit_name}"),
                    ] {
                        let card = Card::parse(&typed, locale);
                        assert_eq!(card, Some(Card::Suited { rank, suit }), "{typed}");
                    }
                }
            }
        }
        for (language, typed, sent) in [
            ("es", "reina de corazones", "Q of Hearts"),
            ("es", "La Dama de Corazones", "Q of Hearts"),
            ("es", "7 de tréboles", "7 of Clubs"),
            ("fr", "as de coeur", "A of Hearts"),
            ("fr", "Dame de Cœur", "Q of Hearts"),
            ("de", "Herz-Dame", "Q of Hearts"),
            ("de", "pik ass", "A of Spades"),
            ("de", "Karo 7", "7 of Diamonds"),
            ("it", "Donna di cuori", "Q of Hearts"),
            ("pt", "A dama de copas", "Q of Hearts"),
            ("pt", "rei de paus", "K of Clubs"),
            ("en", "a queen of hearts", "Q of Hearts"),
            ("en", "Joker (black)", "Black Joker"),
            ("de", "Roter Joker", "Red Joker"),
        ] {
            let parse = |text| Card::parse(text, locale(language));
            assert!(parse(typed).is_some() && parse(typed) == parse(sent), "{typed}");
        }
    }

    #[test]
    fn value_that_is_no_such_card_is_left_alone() {
        for locale in Locale::ALL {
            for value in [
                "Siete de Copas 2",
                "The Fool",
                "Fargo",
                "Queen",
                "Hearts",
                "11 of Hearts",
                "0 of Clubs",
                "1 of Spades",
                "as",
                "As",
                "Q of Q",
                "Queen of Hearts and Ace of Spades",
                "7",
                "♥",
                "",
                "Uno",
                "A",
                "of",
                "Hearts of Clubs",
            ] {
                assert_eq!(Card::parse(value, locale), None, "{value}");
            }
        }
        // A Spanish deck's.
        assert_eq!(Card::parse("Siete de Copas", locale("es")), None);
    }
}
