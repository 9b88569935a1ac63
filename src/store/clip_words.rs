//! The words of clips: a user's text as a search in their index.

use diesel::RunQueryDsl;
use diesel::sql_types::Text;
use unicode_general_category::{GeneralCategory as Category, get_general_category};

use crate::error::Result;

use super::connection::Reader;
use super::failure::OrFail;
use super::statement::statement;

/// Beginnings of up to so many letters have an index of their own.
const SHORT: usize = 3;

/// Words with the same beginning that are looked for one by one.
const MAX_WORDS: usize = 48;

/// So many words, and bytes of text, are looked for in the clips themselves.
const MAX_PATTERNS: usize = 8;
const MAX_LETTERS: usize = 200;

impl Reader {
    /// What the words' index is asked for a user's text: every word of it as a beginning. None when no clip can have them:
    /// text without a single letter or digit is in no index.
    /// Also whether one clip can be looked at for it without gathering all that have it.
    pub(super) fn clip_phrase(&mut self, text: &str) -> Result<Option<(String, bool)>> {
        let words = words_of(text);
        let (mut all, mut each) = (Vec::new(), true);
        for word in &words {
            match self.words_like(word)? {
                Some(found) if found.is_empty() => return Ok(None),
                Some(found) => {
                    let quoted: Vec<String> = found.iter().map(|it| format!("\"{it}\"")).collect();
                    all.push(format!("({})", quoted.join(" OR ")));
                }
                None => {
                    each &= is_short(word);
                    all.push(format!("\"{word}\"*"));
                }
            }
        }
        Ok((!all.is_empty()).then(|| (all.join(" AND "), each)))
    }

    /// The words there are that begin so, found by leaping along them: as many steps as words, not as clips. The index
    /// itself would gather every clip that has one of them before it gives the first. None when they cannot be told: there are
    /// too many, or upper case and accents are not as simple as in ASCII.
    fn words_like(&mut self, beginning: &str) -> Result<Option<Vec<String>>> {
        if is_short(beginning) || !beginning.is_ascii() {
            return Ok(None);
        }
        let beginning = beginning.to_ascii_lowercase();
        let end = format!("{beginning}\u{10ffff}");
        let (mut found, mut from) = (Vec::new(), beginning);
        loop {
            let next =
                statement::<Text>("SELECT term FROM clips_words WHERE term >= ? AND term <= ? LIMIT 1");
            let next: Vec<String> = next.bind(from).bind(end.as_str()).load(&mut self.conn).or_fail()?;
            let Some(word) = next.into_iter().next() else { return Ok(Some(found)) };
            if found.len() == MAX_WORDS {
                return Ok(None);
            }
            // No word has a character before this one.
            from = format!("{word}\u{1}");
            found.push(word);
        }
    }
}

/// What ASCII text is matched with for each word of a user's text as a beginning: patterns of GLOB. None where a word is not
/// ASCII, or there are too many.
pub(super) fn patterns_of(text: &str) -> Vec<String> {
    let words = words_of(text);
    if !text.is_ascii() || words.len() > MAX_PATTERNS || text.len() > MAX_LETTERS {
        return Vec::new();
    }
    let letter = |it: char| match it.is_ascii_alphabetic() {
        true => format!("[{}{}]", it.to_ascii_lowercase(), it.to_ascii_uppercase()),
        false => it.to_string(),
    };
    words.iter().map(|it| format!("*[^0-9A-Za-z]{}*", it.chars().map(letter).collect::<String>())).collect()
}

fn is_short(beginning: &str) -> bool {
    beginning.chars().count() <= SHORT
}

/// The words of a user's text, without what the search language would read as an operator: letters and digits, and the
/// marks of these. Each is one word of the index, too: it is never asked for two as one, for it does not know which follow each other.
fn words_of(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && (c.is_ascii() || !is_of_word(c)));
    words.filter(|it| it.chars().any(char::is_alphanumeric)).map(str::to_owned).collect()
}

/// The categories that the index is made with: `L* M* N* Co`, but none of what makes a picture of a sign.
fn is_of_word(c: char) -> bool {
    if matches!(c, '\u{fe0e}' | '\u{fe0f}' | '\u{20e3}') {
        return false;
    }
    use Category::{
        DecimalNumber, EnclosingMark, LetterNumber, LowercaseLetter, ModifierLetter, NonspacingMark,
        OtherLetter, OtherNumber, PrivateUse, SpacingMark, TitlecaseLetter, UppercaseLetter,
    };
    matches!(
        get_general_category(c),
        DecimalNumber
            | EnclosingMark
            | LetterNumber
            | LowercaseLetter
            | ModifierLetter
            | NonspacingMark
            | OtherLetter
            | OtherNumber
            | PrivateUse
            | SpacingMark
            | TitlecaseLetter
            | UppercaseLetter
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::store;

    #[test]
    fn nothing_that_is_of_a_word_parts_words_in_the_index() {
        let (_folder, store) = store();
        let all: Vec<char> = ('\0'..=char::MAX).filter(|it| is_of_word(*it)).collect();
        assert!(all.len() > 100_000);
        let asked = |word: &str| {
            let found = statement::<Text>("SELECT rowid || '' FROM clips_fts WHERE clips_fts MATCH ?")
                .bind(format!("\"{word}\""));
            store.read(|it| found.load::<String>(&mut it.conn).or_fail())
        };
        asked("two words").unwrap_err();
        for word in all.chunks(1_000) {
            asked(&word.iter().flat_map(|it| ['q', *it, 'z']).collect::<String>()).unwrap();
        }
    }
}
