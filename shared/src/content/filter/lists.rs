//! The words, from the text files beside this one: one entry a line, `#` for remarks.
//!
//! | mark | meaning |
//! |---|---|
//! | `word` | this word, alone |
//! | `word+` | also with a plural's `s` or `es` |
//! | `word*`, `*word`, `*word*` | also with more letters behind or before it |
//! | `!word` | strong: also when cut in two or three by blanks; only for words that no innocent words add up to |
//! | `=word` | exactly so, accents included: without them it is another word |
//! | `two words` | these words, one after the other |

use std::sync::LazyLock;

use super::{fold::fold, words::Word};

/// Everything that the filter knows.
#[derive(Default)]
pub struct Lists {
    /// What is refused as one word.
    pub words: Vec<Entry>,
    /// Those of them that are also looked for in pieces.
    pub strong: Vec<Entry>,
    /// What is refused as words in a row.
    pub phrases: Vec<Vec<Entry>>,
    /// What is refused when it is spelled exactly so.
    pub exact: Vec<&'static str>,
    /// Words in a row that are innocent together.
    pub innocent: Vec<Vec<String>>,
}

/// A word to look for.
#[derive(Clone)]
pub struct Entry {
    /// Its letters, folded.
    pub letters: Vec<char>,
    /// May have letters before it.
    pub open_start: bool,
    /// May have letters behind it.
    pub open_end: bool,
    /// No name is spelled like it: it is looked for across blanks and in slang's spellings.
    pub strong: bool,
}

/// The lists, read at their first use.
pub static LISTS: LazyLock<Lists> = LazyLock::new(|| {
    let mut lists = Lists::default();
    for file in [
        include_str!("lists/en.txt"),
        include_str!("lists/es.txt"),
        include_str!("lists/fr.txt"),
        include_str!("lists/de.txt"),
        include_str!("lists/it.txt"),
        include_str!("lists/pt.txt"),
        include_str!("lists/others.txt"),
    ] {
        entries(file).for_each(|line| lists.add(line));
    }
    lists.innocent = entries(include_str!("lists/innocent.txt")).map(in_row).collect();
    lists
});

fn entries(file: &'static str) -> impl Iterator<Item = &'static str> {
    file.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn in_row(line: &str) -> Vec<String> {
    Word::all_of(&fold(line)).into_iter().map(|word| word.letters.into_iter().collect()).collect()
}

impl Lists {
    fn add(&mut self, line: &'static str) {
        if let Some(exact) = line.strip_prefix('=') {
            self.exact.push(exact);
            return;
        }
        let mut row: Vec<Vec<Entry>> = line.split_whitespace().map(Entry::read).collect();
        if row.len() == 1 {
            let forms = row.remove(0);
            self.strong.extend(forms.iter().filter(|form| form.strong).cloned());
            self.words.extend(forms);
        } else {
            self.phrases.push(row.into_iter().filter_map(|forms| forms.into_iter().next()).collect());
        }
    }
}

impl Entry {
    /// The forms of a word: one, or three where it has plurals.
    fn read(word: &str) -> Vec<Self> {
        let (strong, word) = word.strip_prefix('!').map_or((false, word), |word| (true, word));
        let (open_start, word) = word.strip_prefix('*').map_or((false, word), |word| (true, word));
        let (open_end, word) = word.strip_suffix('*').map_or((false, word), |word| (true, word));
        let (stem, endings): (_, &[&str]) =
            word.strip_suffix('+').map_or((word, &[""]), |stem| (stem, &["", "s", "es"]));
        let form = |ending: &&str| Self {
            letters: fold(&format!("{stem}{ending}")).chars().collect(),
            open_start,
            open_end,
            strong,
        };
        endings.iter().map(form).collect()
    }
}
