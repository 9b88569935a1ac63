//! Query parameters: declared in the table of routes, checked before a handler runs.

use crate::config::did_you_mean;
use crate::error::{Code, Error, FieldError, Result};
use crate::model::page::{DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, Window};
use crate::model::time::{MissingOffset, Timestamp};

/// What values a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Any text up to 1000 characters.
    Text,
    /// A whole number within bounds.
    Whole(i64, i64),
    /// `true` or `false` (also `1`, `0`, or nothing for true).
    Flag,
    /// A time with its offset.
    Time,
    /// One of some words.
    OneOf(&'static [&'static str]),
    /// Some of some words, separated by commas.
    SomeOf(&'static [&'static str]),
}

/// One query parameter.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Whether it may come several times.
    pub repeat: bool,
    /// What it does, in a sentence.
    pub doc: &'static str,
}

/// A parameter that comes once.
pub const fn param(name: &'static str, kind: Kind, doc: &'static str) -> Param {
    Param { name, kind, repeat: false, doc }
}

/// The window of a list.
pub const PAGING: &[Param] = &[
    param("page", Kind::Whole(1, 1_000_000_000), "The page, counted from 1."),
    param("page_size", Kind::Whole(1, MAX_PAGE_SIZE), "Rows a page; 50 without."),
    param("skip", Kind::Whole(0, 1_000_000_000_000), "Rows to pass over; instead of `page`."),
    param("limit", Kind::Whole(1, MAX_PAGE_SIZE), "Rows to answer; instead of `page_size`."),
];

/// The parameters of one request, checked against those the route knows.
#[derive(Debug, Default, Clone)]
pub struct Query(Vec<(&'static Param, String)>);

impl Query {
    /// Reads `text` against the groups of parameters a route knows; `None` = the route ignores its query.
    ///
    /// # Errors
    /// [`Code::BadQuery`] with every fault, unknown names with a suggestion.
    pub fn read(text: &str, known: &[&'static [Param]]) -> Result<Self> {
        let mut query = Query::default();
        let mut faults = Vec::new();
        let all = || known.iter().copied().flatten();
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            let fault = match all().find(|it| it.name == name) {
                None => Some(unknown(&name, all())),
                Some(it) if !it.repeat && query.get(it.name).is_some() => Some("comes twice".to_owned()),
                Some(it) => match it.kind.check(&value) {
                    Err(message) => Some(message),
                    Ok(()) => {
                        query.0.push((it, value.into_owned()));
                        None
                    }
                },
            };
            if let Some(message) = fault {
                let shown: String = name.chars().take(64).collect();
                faults.push(FieldError { pointer: shown, message });
            }
        }
        match faults.is_empty() {
            true => Ok(query),
            false => Err(Error { code: Code::BadQuery, ..Error::fields(faults) }),
        }
    }

    /// The value of a parameter, as sent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(it, _)| it.name == name).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter that may repeat.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(it, _)| it.name == name).map(|(_, value)| value.clone()).collect()
    }

    /// A parameter as text of its own.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// A whole number.
    pub fn whole(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(|it| it.parse().ok())
    }

    /// A flag; without a value it is true.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.get(name).and_then(read_flag)
    }

    /// A time.
    pub fn time(&self, name: &str) -> Option<Timestamp> {
        self.get(name).and_then(|it| Timestamp::parse(it, MissingOffset::Refused).ok())
    }

    /// Whether a list of words holds `word`.
    pub fn has(&self, name: &str, word: &str) -> bool {
        self.get(name).is_some_and(|it| it.split(',').any(|it| it.trim() == word))
    }

    /// The window of a list, from `page`/`page_size` or `skip`/`limit`.
    pub fn window(&self) -> Window {
        let limit = self.whole("page_size").or_else(|| self.whole("limit")).unwrap_or(DEFAULT_PAGE_SIZE);
        let offset = match self.whole("skip") {
            Some(skip) => skip,
            None => (self.whole("page").unwrap_or(1) - 1).saturating_mul(limit),
        };
        Window { offset, limit }
    }
}

impl Kind {
    fn check(self, value: &str) -> Result<(), String> {
        let fits = match self {
            Kind::Text => value.chars().count() <= 1000,
            Kind::Whole(min, max) => value.parse::<i64>().is_ok_and(|it| (min..=max).contains(&it)),
            Kind::Flag => read_flag(value).is_some(),
            Kind::Time => return Timestamp::parse(value, MissingOffset::Refused).map(drop),
            Kind::OneOf(words) => words.contains(&value),
            Kind::SomeOf(words) => value.split(',').all(|it| words.contains(&it.trim())),
        };
        fits.then_some(()).ok_or_else(|| format!("must be {}", self.accepts()))
    }

    /// What is accepted, in words.
    fn accepts(self) -> String {
        match self {
            Kind::Text => "text of at most 1000 characters".to_owned(),
            Kind::Whole(min, max) => format!("a whole number from {min} to {max}"),
            Kind::Flag => "true or false".to_owned(),
            Kind::Time => "a time".to_owned(),
            Kind::OneOf(words) => words.join(" or "),
            Kind::SomeOf(words) => format!("some of {}, separated by commas", words.join(", ")),
        }
    }
}

fn read_flag(value: &str) -> Option<bool> {
    match value {
        "" | "1" | "true" | "True" => Some(true),
        "0" | "false" | "False" => Some(false),
        _ => None,
    }
}

fn unknown(name: &str, known: impl Iterator<Item = &'static Param> + Clone) -> String {
    let guess = did_you_mean(name, known.clone().map(|it| it.name));
    let names: Vec<&str> = known.map(|it| it.name).collect();
    match names.is_empty() {
        true => "is unknown; this route takes no parameters".to_owned(),
        false => format!("is unknown (this route takes {}){guess}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILTERS: &[Param] = &[
        Param { repeat: true, ..param("tag", Kind::Text, "A tag.") },
        param("processed", Kind::Flag, "Whether it is processed."),
        param("from", Kind::Time, "Not before."),
        param("include", Kind::SomeOf(&["clips", "tasks"]), "What else to answer."),
    ];

    fn read(text: &str) -> Result<Query> {
        Query::read(text, &[PAGING, FILTERS])
    }

    #[test]
    fn an_unknown_parameter_is_refused_with_a_suggestion() {
        let error = read("pagesize=3&x=1").unwrap_err();
        assert_eq!(error.code, Code::BadQuery);
        assert_eq!(error.errors.len(), 2);
        assert!(error.errors[0].message.contains("page_size"), "{:?}", error.errors);
    }

    #[test]
    fn wrong_values_name_what_is_accepted() {
        for text in [
            "page=0",
            "page_size=1001",
            "page=x",
            "processed=maybe",
            "from=yesterday",
            "include=all",
            "page=1&page=2",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read("from=2025-01-25T10:00:00").unwrap_err().detail.contains("no offset"));
    }

    #[test]
    fn both_ways_of_paging_give_the_same_window() {
        let window = |text| read(text).unwrap().window();
        assert_eq!(window(""), Window { offset: 0, limit: 50 });
        assert_eq!(window("page=3&page_size=20"), window("skip=40&limit=20"));
    }

    #[test]
    fn a_parameter_that_may_repeat_gives_all_its_values() {
        let query = read("tag=a&tag=b%20c&processed&include=clips,tasks").unwrap();
        assert_eq!(query.all("tag"), ["a", "b c"]);
        assert_eq!(query.flag("processed"), Some(true));
        assert!(query.has("include", "tasks") && !query.has("include", "events"));
    }
}
