//! The words of a normalized text, and what separates them.

/// A word of a normalized text.
pub struct Token {
    /// Letters and digits, and `@` and `$`, which are commonly used as letters.
    pub letters: Vec<char>,
    /// What stands before it.
    pub separator: Separator,
    /// Part of a name on the allowlist.
    pub is_allowlisted: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Separator {
    Space,
    /// A real boundary: no word is hidden across it.
    Apostrophe,
    /// Other signs without a space, as in `p.u.t.a`.
    Sign,
}

/// Whether a character belongs to a token.
pub fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '@' | '$')
}

pub fn tokenize(normalized: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut separator = Separator::Space;
    let mut letters = Vec::new();
    for c in normalized.chars().chain([' ']) {
        if is_letter(c) {
            letters.push(c);
            continue;
        }
        if !letters.is_empty() {
            tokens.push(Token { letters: squeeze(letters.drain(..)), separator, is_allowlisted: false });
            separator = Separator::Sign;
        }
        separator = match (c, separator) {
            (c, _) if c.is_whitespace() => Separator::Space,
            ('\'' | '’' | '‘' | '`' | '´', Separator::Sign) => Separator::Apostrophe,
            (_, separator) => separator,
        };
    }
    tokens
}

/// The letters of several tokens as one word.
pub fn concat(tokens: &[Token]) -> Vec<char> {
    squeeze(tokens.iter().flat_map(|token| token.letters.iter().copied()))
}

/// Keeps no more than three equal letters in a row: more make no other word, and would be slow to match.
pub fn squeeze(letters: impl Iterator<Item = char>) -> Vec<char> {
    let mut squeezed: Vec<char> = Vec::new();
    for c in letters {
        if !squeezed.ends_with(&[c; 3]) {
            squeezed.push(c);
        }
    }
    squeezed
}
