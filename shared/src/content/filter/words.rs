//! Finding listed words in a text, through what people do to hide them.

use super::{
    fold::{fold, visible},
    lists::{Entry, LISTS},
};

/// Symbols that stand for a letter, or for any letter.
const SYMBOLS: &[char] = &['!', '|', '+', '*', '#'];

/// A word of a folded text.
pub struct Word {
    /// Its letters and digits, and `@` and `$`, which nobody writes but for letters.
    pub letters: Vec<char>,
    /// What stands before it.
    joint: Joint,
    /// It is part of an innocent name.
    innocent: bool,
}

/// What stands between two words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joint {
    /// A blank.
    Blank,
    /// An apostrophe: a border that nobody reads over.
    Apostrophe,
    /// Other signs without a blank, as in `p.u.t.a`.
    Sign,
}

impl Word {
    /// The words of a folded text.
    pub fn all_of(folded: &str) -> Vec<Self> {
        let mut words = Vec::new();
        let mut joint = Joint::Blank;
        let mut letters = Vec::new();
        for c in folded.chars().chain([' ']) {
            if c.is_alphanumeric() || matches!(c, '@' | '$') {
                letters.push(c);
                continue;
            }
            if !letters.is_empty() {
                words.push(Self { letters: shortened(letters.drain(..)), joint, innocent: false });
                joint = Joint::Sign;
            }
            joint = match (c, joint) {
                (c, _) if c.is_whitespace() => Joint::Blank,
                ('\'' | '’' | '‘' | '`' | '´', Joint::Sign) => Joint::Apostrophe,
                (_, joint) => joint,
            };
        }
        words
    }
}

/// Whether a text holds what the lists refuse.
pub fn inappropriate(text: &str) -> bool {
    let folded = fold(text);
    let mut words = Word::all_of(&folded);
    pardon(&mut words);
    spelled_exactly(text)
        || words.iter().any(|word| !word.innocent && listed(&word.letters))
        || in_row(&words)
        || with_symbols(&folded)
        || joined_by_signs(&words)
        || letter_by_letter(&words)
        || in_pieces(&words)
}

/// Marks the words of innocent names.
fn pardon(words: &mut [Word]) {
    for name in &LISTS.innocent {
        for start in 0..words.len().saturating_sub(name.len() - 1) {
            let found = &mut words[start..start + name.len()];
            if found.iter().zip(name).all(|(word, name)| name.chars().eq(word.letters.iter().copied())) {
                for word in found {
                    word.innocent = true;
                }
            }
        }
    }
}

fn spelled_exactly(text: &str) -> bool {
    let seen = visible(text).collect::<String>().to_lowercase();
    seen.split(|c: char| !c.is_alphanumeric()).any(|word| LISTS.exact.contains(&word))
}

fn listed(letters: &[char]) -> bool {
    LISTS.words.iter().any(|entry| entry.is(letters))
}

/// Words that are refused one after the other.
fn in_row(words: &[Word]) -> bool {
    LISTS.phrases.iter().any(|phrase| {
        words
            .windows(phrase.len())
            .any(|row| row.iter().zip(phrase).all(|(word, entry)| !word.innocent && entry.is(&word.letters)))
    })
}

/// `sh!t`, `f*ck`: symbols within a word are letters; around it they are none.
fn with_symbols(folded: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || matches!(c, '@' | '$');
    let chunks = folded.split_whitespace().map(|chunk| chunk.trim_matches(|c| !is_letter(c)));
    chunks
        .filter(|chunk| chunk.contains(SYMBOLS))
        .any(|chunk| listed(&shortened(chunk.chars().filter(|&c| is_letter(c) || SYMBOLS.contains(&c)))))
}

/// `p.u.t.a`, `fu-ck`: words without a blank between them.
fn joined_by_signs(words: &[Word]) -> bool {
    let mut chains = words.chunk_by(|_, next| next.joint == Joint::Sign);
    chains.any(|chain| chain.len() > 1 && chain.iter().all(|word| !word.innocent) && listed(&joined(chain)))
}

/// `f u c k`: single letters in a row, and what words they make.
fn letter_by_letter(words: &[Word]) -> bool {
    let single = |word: &Word| word.letters.len() == 1 && !word.innocent;
    let rows = words.chunk_by(|one, next| single(one) && single(next) && next.joint != Joint::Apostrophe);
    rows.filter(|row| row.len() >= 3).any(|row| {
        let letters = joined(row);
        // Whatever follows the word is the next word's.
        (0..letters.len()).any(|start| {
            LISTS.words.iter().any(|entry| entry.letters.len() > 2 && entry.begins(&letters[start..], true))
        })
    })
}

/// `fu ck`: strong words cut in two or three.
fn in_pieces(words: &[Word]) -> bool {
    [2, 3].into_iter().any(|pieces| {
        words.windows(pieces).any(|window| {
            let whole = window.iter().all(|word| !word.innocent)
                && window[1..].iter().all(|word| word.joint != Joint::Apostrophe)
                // Behind an apostrophe a single letter is an ending: "it's hit".
                && window[0].joint != Joint::Apostrophe;
            whole && {
                let letters = joined(window);
                LISTS.strong.iter().any(|entry| entry.is_whole(&letters))
            }
        })
    })
}

fn joined(words: &[Word]) -> Vec<char> {
    shortened(words.iter().flat_map(|word| word.letters.iter().copied()))
}

/// Letters with no more than three of a kind in a row: more say nothing more, and would take long to look through.
fn shortened(letters: impl Iterator<Item = char>) -> Vec<char> {
    let mut short: Vec<char> = Vec::new();
    for c in letters {
        if !short.ends_with(&[c; 3]) {
            short.push(c);
        }
    }
    short
}

impl Entry {
    /// Whether a word is this one, in any of its allowed lengths.
    fn is(&self, letters: &[char]) -> bool {
        let starts = if self.open_start { 0..letters.len() } else { 0..1 };
        starts.into_iter().any(|start| self.begins(&letters[start..], self.open_end))
    }

    /// Whether these letters are this word and nothing more.
    fn is_whole(&self, letters: &[char]) -> bool {
        self.begins(letters, false)
    }

    fn begins(&self, letters: &[char], open_end: bool) -> bool {
        // Nearly every word is none of the list, and most are told by their first letter.
        if !letters.first().is_some_and(|&found| self.stands_for(found, self.letters[0])) {
            return false;
        }
        let hidden = letters.iter().filter(|c| matches!(c, '*' | '#')).count();
        // Digits alone are a number.
        if hidden * 2 > self.letters.len() || !letters.iter().any(|c| c.is_alphabetic()) {
            return false;
        }
        let mut at = 0;
        for &wanted in &self.letters {
            while !letters.get(at).is_some_and(|&found| self.stands_for(found, wanted)) {
                if !self.may_skip(letters, at) {
                    return false;
                }
                at += 1;
            }
            at += 1;
        }
        open_end || (at..letters.len()).all(|at| self.may_skip(letters, at))
    }

    /// Whether a letter only prolongs the one before: three of a kind, or a doubled vowel, or one more at the end.
    /// Doubled consonants within a word make other words ("annus").
    fn may_skip(&self, letters: &[char], at: usize) -> bool {
        let Some(before) = at.checked_sub(1).map(|before| letters[before]) else { return false };
        if letters.get(at) != Some(&before) {
            return false;
        }
        let run = letters[..at].iter().rev().take_while(|c| **c == before).count()
            + letters[at..].iter().take_while(|c| **c == before).count();
        let light = matches!(before, 'a' | 'e' | 'i' | 'o' | 'u' | 'y') || at + 1 == letters.len();
        run > 2 || (light && self.letters.len() > 3)
    }

    /// Whether what was found can be read as the letter that is wanted.
    fn stands_for(&self, found: char, wanted: char) -> bool {
        found == wanted
            || match found {
                '0' => wanted == 'o',
                '1' | '!' | '|' => matches!(wanted, 'i' | 'l'),
                '3' => wanted == 'e',
                '4' | '@' => wanted == 'a',
                '5' | '$' => wanted == 's',
                '6' | '9' => wanted == 'g',
                '7' | '+' => wanted == 't',
                '8' => wanted == 'b',
                '*' | '#' => true,
                // Common in slang, and in names: only where it cannot be a name.
                'k' => self.strong && wanted == 'c',
                'v' | 'y' => self.strong && wanted == 'u',
                _ => false,
            }
    }
}
