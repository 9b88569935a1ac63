//! Texts by name, such as headers: all of them in one piece of memory.

/// Names with a text each, in their order; a name stands there once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    /// Name, text, name, text, …
    all: String,
    /// Where each name and each text ends in it.
    ends: Vec<(usize, usize)>,
}

impl Texts {
    /// None yet, with room for so many.
    pub fn with_capacity(count: usize) -> Self {
        /// What a header usually takes, name and text.
        const USUAL: usize = 48;
        Texts { all: String::with_capacity(count * USUAL), ends: Vec::with_capacity(count) }
    }

    /// Puts a text under a name that is not there yet.
    pub fn push(&mut self, name: &str, text: &str) {
        self.all.push_str(name);
        let name_ends = self.all.len();
        self.all.push_str(text);
        self.ends.push((name_ends, self.all.len()));
    }

    /// Adds to the text that was put last.
    pub fn extend_last(&mut self, text: &str) {
        if let Some((_, end)) = self.ends.last_mut() {
            self.all.push_str(text);
            *end = self.all.len();
        }
    }

    /// The name that was put last.
    pub fn last_name(&self) -> Option<&str> {
        let last = self.ends.len().checked_sub(1)?;
        Some(self.at(last).0)
    }

    /// The text of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(it, _)| *it == name).map(|(_, text)| text)
    }

    /// Names and texts, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        (0..self.ends.len()).map(|it| self.at(it))
    }

    /// Bytes of names and texts.
    pub fn bytes(&self) -> usize {
        self.all.len()
    }

    fn at(&self, index: usize) -> (&str, &str) {
        let begin = index.checked_sub(1).map_or(0, |it| self.ends[it].1);
        let (name_ends, end) = self.ends[index];
        (&self.all[begin..name_ends], &self.all[name_ends..end])
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Texts {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(all: I) -> Self {
        let mut texts = Texts::default();
        all.into_iter().for_each(|(name, text)| texts.push(name, text));
        texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_under_their_names_in_their_order() {
        let mut texts = Texts::from_iter([("a", "1"), ("b", "")]);
        assert_eq!(texts.last_name(), Some("b"));
        texts.push("c", "3");
        texts.extend_last(", 4");
        assert_eq!(texts.iter().collect::<Vec<_>>(), [("a", "1"), ("b", ""), ("c", "3, 4")]);
        assert_eq!((texts.get("b"), texts.get("1"), texts.bytes()), (Some(""), None, 8));
        assert_eq!(Texts::default().last_name(), None);
    }
}
