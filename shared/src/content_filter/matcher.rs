//! Finds listed words in a text, in spite of what people do to hide them.

use super::{
    normalize::{normalize, visible},
    tokens::{Separator, Token, concat, is_letter, squeeze, tokenize},
    word_lists::{Entry, WORD_LISTS},
};

/// Symbols that stand for a letter, or for any letter, within a word.
const SYMBOLS: &[char] = &['!', '|', '+', '*', '#'];

pub fn contains_blocked_word(text: &str) -> bool {
    let normalized = normalize(text);
    let mut tokens = tokenize(&normalized);
    mark_allowlisted(&mut tokens);
    has_exact_word(text)
        || tokens.iter().any(|token| !token.is_allowlisted && is_listed(&token.letters))
        || has_phrase(&tokens)
        || has_word_with_symbols(&normalized)
        || has_word_joined_by_signs(&tokens)
        || has_spelled_out_word(&tokens)
        || has_split_word(&tokens)
}

fn mark_allowlisted(tokens: &mut [Token]) {
    for name in &WORD_LISTS.allowlist {
        for start in 0..tokens.len().saturating_sub(name.len() - 1) {
            let found = &mut tokens[start..start + name.len()];
            if found.iter().zip(name).all(|(token, word)| word.chars().eq(token.letters.iter().copied())) {
                for token in found {
                    token.is_allowlisted = true;
                }
            }
        }
    }
}

fn has_exact_word(text: &str) -> bool {
    let text = visible(text).collect::<String>().to_lowercase();
    text.split(|c: char| !c.is_alphanumeric()).any(|word| WORD_LISTS.exact.contains(&word))
}

fn is_listed(letters: &[char]) -> bool {
    WORD_LISTS.words.iter().any(|entry| entry.matches(letters))
}

/// Words that are blocked one after the other.
fn has_phrase(tokens: &[Token]) -> bool {
    WORD_LISTS.phrases.iter().any(|phrase| {
        tokens.windows(phrase.len()).any(|window| {
            window
                .iter()
                .zip(phrase)
                .all(|(token, entry)| !token.is_allowlisted && entry.matches(&token.letters))
        })
    })
}

/// `sh!t`, `f*ck`: symbols count as letters within a word, and not around it.
fn has_word_with_symbols(normalized: &str) -> bool {
    let chunks = normalized.split_whitespace().map(|chunk| chunk.trim_matches(|c| !is_letter(c)));
    chunks
        .filter(|chunk| chunk.contains(SYMBOLS))
        .any(|chunk| is_listed(&squeeze(chunk.chars().filter(|&c| is_letter(c) || SYMBOLS.contains(&c)))))
}

/// `p.u.t.a`, `fu-ck`: signs without a space between parts of a word.
fn has_word_joined_by_signs(tokens: &[Token]) -> bool {
    let mut chains = tokens.chunk_by(|_, next| next.separator == Separator::Sign);
    chains.any(|chain| {
        chain.len() > 1 && chain.iter().all(|token| !token.is_allowlisted) && is_listed(&concat(chain))
    })
}

/// `f u c k`: single letters in a row.
fn has_spelled_out_word(tokens: &[Token]) -> bool {
    let is_single = |token: &Token| token.letters.len() == 1 && !token.is_allowlisted;
    let rows = tokens
        .chunk_by(|one, next| is_single(one) && is_single(next) && next.separator != Separator::Apostrophe);
    rows.filter(|row| row.len() >= 3).any(|row| {
        let letters = concat(row);
        // Trailing letters belong to the next word.
        (0..letters.len()).any(|start| {
            WORD_LISTS
                .words
                .iter()
                .any(|entry| entry.letters.len() > 2 && entry.matches_start(&letters[start..], true))
        })
    })
}

/// `fu ck`: words that are split in two or three by spaces.
fn has_split_word(tokens: &[Token]) -> bool {
    [2, 3].into_iter().any(|parts| {
        tokens.windows(parts).any(|window| {
            let may_be_one_word = window.iter().all(|token| !token.is_allowlisted)
                && window[1..].iter().all(|token| token.separator != Separator::Apostrophe)
                // A single letter after an apostrophe is an ending: "it's hit".
                && window[0].separator != Separator::Apostrophe;
            may_be_one_word && {
                let letters = concat(window);
                WORD_LISTS.split_words.iter().any(|entry| entry.matches_start(&letters, false))
            }
        })
    })
}

impl Entry {
    /// Whether a word is this one, in any of its allowed lengths.
    fn matches(&self, letters: &[char]) -> bool {
        let starts = if self.open_start { 0..letters.len() } else { 0..1 };
        starts.into_iter().any(|start| self.matches_start(&letters[start..], self.open_end))
    }

    /// Whether these letters begin with this word; without `open_end`, whether they are this word and nothing more.
    fn matches_start(&self, letters: &[char], open_end: bool) -> bool {
        // Fast path: most words fail on the first letter.
        if !letters.first().is_some_and(|&found| self.can_stand_for(found, self.letters[0])) {
            return false;
        }
        let wildcards = letters.iter().filter(|c| matches!(c, '*' | '#')).count();
        // Digits alone are a number.
        if wildcards * 2 > self.letters.len() || !letters.iter().any(|c| c.is_alphabetic()) {
            return false;
        }
        let mut at = 0;
        for &wanted in &self.letters {
            while !letters.get(at).is_some_and(|&found| self.can_stand_for(found, wanted)) {
                if !self.is_elongation(letters, at) {
                    return false;
                }
                at += 1;
            }
            at += 1;
        }
        open_end || (at..letters.len()).all(|at| self.is_elongation(letters, at))
    }

    /// Whether a letter only prolongs the one before: three equal letters, a doubled vowel, or one more at the end.
    /// Doubled consonants within a word make other words ("annus").
    fn is_elongation(&self, letters: &[char], at: usize) -> bool {
        let Some(before) = at.checked_sub(1).map(|before| letters[before]) else { return false };
        if letters.get(at) != Some(&before) {
            return false;
        }
        let run = letters[..at].iter().rev().take_while(|c| **c == before).count()
            + letters[at..].iter().take_while(|c| **c == before).count();
        let may_double = matches!(before, 'a' | 'e' | 'i' | 'o' | 'u' | 'y') || at + 1 == letters.len();
        run > 2 || (may_double && self.letters.len() > 3)
    }

    /// Whether `found` can be read as the letter `wanted`.
    fn can_stand_for(&self, found: char, wanted: char) -> bool {
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
                'k' => self.match_across_spaces && wanted == 'c',
                'v' | 'y' => self.match_across_spaces && wanted == 'u',
                _ => false,
            }
    }
}
