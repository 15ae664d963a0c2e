//! The word lists, read from `word_lists/*.txt`: one entry a line, `#` for comments.
//!
//! | mark | meaning |
//! |---|---|
//! | `word` | this word, alone |
//! | `word+` | also with a plural's `s` or `es` |
//! | `word*`, `*word`, `*word*` | also with more letters behind it, before it, or both |
//! | `!word` | also when split in two or three by spaces; only for words that no harmless words add up to |
//! | `=word` | exactly so, accents included: without them it is another word |
//! | `two words` | these words, one after the other |

use std::sync::LazyLock;

use super::{normalize::normalize, tokens::tokenize};

#[derive(Default)]
pub struct WordLists {
    /// Blocked as one word.
    pub words: Vec<Entry>,
    /// Those of them that are also looked for across spaces.
    pub split_words: Vec<Entry>,
    /// Blocked as several words in a row.
    pub phrases: Vec<Vec<Entry>>,
    /// Blocked in exactly this spelling.
    pub exact: Vec<&'static str>,
    /// Names, as several words in a row, whose words are not blocked.
    pub allowlist: Vec<Vec<String>>,
}

#[derive(Clone)]
pub struct Entry {
    /// Normalized.
    pub letters: Vec<char>,
    /// May have letters before it.
    pub open_start: bool,
    /// May have letters behind it.
    pub open_end: bool,
    /// No name is spelled like it: it is looked for across spaces and in the spellings of slang.
    pub match_across_spaces: bool,
}

/// Read at the first use.
pub static WORD_LISTS: LazyLock<WordLists> = LazyLock::new(|| {
    let mut lists = WordLists::default();
    for file in [
        include_str!("word_lists/en.txt"),
        include_str!("word_lists/es.txt"),
        include_str!("word_lists/fr.txt"),
        include_str!("word_lists/de.txt"),
        include_str!("word_lists/it.txt"),
        include_str!("word_lists/pt.txt"),
        include_str!("word_lists/other_languages.txt"),
    ] {
        lines(file).for_each(|line| lists.add(line));
    }
    lists.allowlist = lines(include_str!("word_lists/allowlist.txt")).map(parse_allowlisted).collect();
    lists
});

fn lines(file: &'static str) -> impl Iterator<Item = &'static str> {
    file.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn parse_allowlisted(line: &str) -> Vec<String> {
    tokenize(&normalize(line)).into_iter().map(|token| token.letters.into_iter().collect()).collect()
}

impl WordLists {
    fn add(&mut self, line: &'static str) {
        if let Some(exact) = line.strip_prefix('=') {
            self.exact.push(exact);
            return;
        }
        let mut words: Vec<Vec<Entry>> = line.split_whitespace().map(Entry::parse).collect();
        if words.len() == 1 {
            let forms = words.remove(0);
            self.split_words.extend(forms.iter().filter(|form| form.match_across_spaces).cloned());
            self.words.extend(forms);
        } else {
            self.phrases.push(words.into_iter().filter_map(|forms| forms.into_iter().next()).collect());
        }
    }
}

impl Entry {
    /// The forms of a word: one, or three if it has plurals.
    fn parse(word: &str) -> Vec<Self> {
        let (match_across_spaces, word) = word.strip_prefix('!').map_or((false, word), |word| (true, word));
        let (open_start, word) = word.strip_prefix('*').map_or((false, word), |word| (true, word));
        let (open_end, word) = word.strip_suffix('*').map_or((false, word), |word| (true, word));
        let (stem, endings): (_, &[&str]) =
            word.strip_suffix('+').map_or((word, &[""]), |stem| (stem, &["", "s", "es"]));
        let form = |ending: &&str| Self {
            letters: normalize(&format!("{stem}{ending}")).chars().collect(),
            open_start,
            open_end,
            match_across_spaces,
        };
        endings.iter().map(form).collect()
    }
}
