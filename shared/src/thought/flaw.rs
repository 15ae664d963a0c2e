//! What can be wrong with a text of Gemini's.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Not the JSON that was asked for.
    NotJson,
    TooShort,
    TooLong,
    ValueMissing,
    ValueRepeated,
    /// It names another card than the value.
    OtherCard,
    /// It names the value's category.
    CategoryNamed,
    /// It begins with a label, such as "Thought:".
    Label,
    /// Line breaks, quotation marks around it, markup, emoji, hashtags, links.
    Markup,
    /// It speaks as a program, or about its instructions.
    OutOfCharacter,
    /// It repeats the instruction.
    InstructionRepeated,
    WrongLanguage,
    /// The content filter rejects it.
    Inappropriate,
    /// Gemini's own safety filter cut it off.
    Blocked,
}

impl Flaw {
    /// What the model is told when it is asked again; the log says the same.
    pub fn retry_hint(self) -> &'static str {
        match self {
            Self::NotJson => "it was not the JSON object with the one member \"thought\"",
            Self::TooShort => "it was too short",
            Self::TooLong => "it was too long",
            Self::ValueMissing => {
                "the value was missing or not spelled as given (digits stay digits, words stay in their language)"
            }
            Self::ValueRepeated => "the value was in it more than once",
            Self::OtherCard => "it named another card than the value",
            Self::CategoryNamed => "it named what kind of thing the value is",
            Self::Label => "it began with a label or an introduction",
            Self::Markup => {
                "it had line breaks, quotation marks around it, markup, emoji, a hashtag or a link in it"
            }
            Self::OutOfCharacter => "it spoke as a program or of its instructions, and not as the sleeper",
            Self::InstructionRepeated => "it repeated these instructions in place of the sleeper's own words",
            Self::WrongLanguage => "it was in another language than the one asked for",
            Self::Inappropriate => "it had words in it that are not fit for a theatre audience",
            Self::Blocked => "it was cut off as unsafe; keep it light and harmless",
        }
    }
}
