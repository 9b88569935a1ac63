//! Paths of plugins' routes: `/status`, `/items/{id}`, `/files/{rest*}`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

/// Bytes of a pattern.
const MAX_BYTES: usize = 256;

/// A pattern, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RoutePath(Vec<Segment>);

/// One segment; in this order they are tried.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    /// These very characters.
    Text(String),
    /// Anything but a slash.
    Part(String),
    /// All that is left.
    Rest(String),
}

impl RoutePath {
    /// Takes a pattern apart.
    ///
    /// # Errors
    /// What is wrong, for the script's author.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        let Some(rest) = pattern.strip_prefix('/').filter(|_| pattern.len() <= MAX_BYTES) else {
            return Err(format!("must begin with / and have at most {MAX_BYTES} bytes"));
        };
        let mut segments = Vec::new();
        let mut names = Vec::new();
        for text in rest.split('/').filter(|_| !rest.is_empty()) {
            if let Some(Segment::Rest(name)) = segments.last() {
                return Err(format!("has something after {{{name}*}}, which takes all that is left"));
            }
            let segment = match text.strip_prefix('{').and_then(|it| it.strip_suffix('}')) {
                Some(inner) => {
                    let (name, is_rest) = inner.strip_suffix('*').map_or((inner, false), |it| (it, true));
                    let is_name = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_';
                    if name.is_empty() || !name.bytes().all(is_name) || names.contains(&name.to_owned()) {
                        return Err(format!("has a part {{{inner}}} that is no name of its own (a-z 0-9 _)"));
                    }
                    names.push(name.to_owned());
                    if is_rest { Segment::Rest(name.to_owned()) } else { Segment::Part(name.to_owned()) }
                }
                None => {
                    let fits = |it: u8| it.is_ascii_alphanumeric() || b"-_.~".contains(&it);
                    if text.is_empty() || text == "." || text == ".." || !text.bytes().all(fits) {
                        return Err(format!(
                            "has a segment '{text}'; use letters, digits and - _ . ~, or {{name}}"
                        ));
                    }
                    Segment::Text(text.to_owned())
                }
            };
            segments.push(segment);
        }
        Ok(RoutePath(segments))
    }

    /// The parts of `path` (without its first slash), their escapes undone, when it fits. Escapes of `%`, `/` and `+` may
    /// be all that is left of them.
    pub fn matches(&self, path: &str) -> Option<BTreeMap<String, String>> {
        let mut parts = BTreeMap::new();
        let mut left = if path.is_empty() { None } else { Some(path) };
        for segment in &self.0 {
            let rest = left?;
            if let Segment::Rest(name) = segment {
                parts.insert(name.clone(), unescaped(rest));
                return Some(parts);
            }
            let (head, tail) = match rest.split_once('/') {
                Some((head, tail)) => (head, Some(tail)),
                None => (rest, None),
            };
            match segment {
                Segment::Text(text) if head == text => {}
                Segment::Part(name) if !head.is_empty() => _ = parts.insert(name.clone(), unescaped(head)),
                _ => return None,
            }
            left = tail;
        }
        left.is_none().then_some(parts)
    }

    /// Whether both fit the same paths.
    pub fn is_like(&self, other: &RoutePath) -> bool {
        let same = |pair: (&Segment, &Segment)| match pair {
            (Segment::Text(one), Segment::Text(other)) => one == other,
            (Segment::Part(_), Segment::Part(_)) | (Segment::Rest(_), Segment::Rest(_)) => true,
            _ => false,
        };
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(same)
    }

    /// The names of its parts.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|it| match it {
            Segment::Text(_) => None,
            Segment::Part(name) | Segment::Rest(name) => Some(name.as_str()),
        })
    }

    /// Its words, for a name.
    pub fn words(&self) -> String {
        let words = self.0.iter().map(|it| match it {
            Segment::Text(text) | Segment::Part(text) | Segment::Rest(text) => text.as_str(),
        });
        let joined = words.collect::<Vec<_>>().join("_");
        joined.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '_' }).collect()
    }
}

/// A part as its sender means it; as it came where that is no text.
fn unescaped(part: &str) -> String {
    percent_decode_str(part).decode_utf8().map_or_else(|_| part.to_owned(), Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(pattern: &str, path: &str) -> Option<String> {
        let parts = RoutePath::parse(pattern).unwrap().matches(path)?;
        Some(parts.into_iter().map(|(name, it)| format!("{name}={it}")).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_path_fits_by_its_segments() {
        assert_eq!(matched("/", ""), Some(String::new()));
        assert_eq!(matched("/status", "status"), Some(String::new()));
        assert_eq!(matched("/items/{id}", "items/7"), Some("id=7".to_owned()));
        assert_eq!(matched("/items/{id}/x", "items/7"), None);
        assert_eq!(matched("/items/{id}", "items/"), None);
        assert_eq!(matched("/files/{rest*}", "files/a/b"), Some("rest=a/b".to_owned()));
        assert_eq!(matched("/files/{rest*}", "files"), None);
        assert_eq!(matched("/status", "status/"), None);
        assert_eq!(matched("/items/{id}", "items/a%2Fb%25%20%zz"), Some("id=a/b% %zz".to_owned()));
        assert_eq!(matched("/items/{id}", "items/%ff"), Some("id=%ff".to_owned()));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for pattern in
            ["", "status", "//", "/a/", "/a b", "/{}", "/{A}", "/{a}/{a}", "/{a*}/b", "/..", "/a?b"]
        {
            assert!(RoutePath::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn what_is_written_out_is_tried_before_what_takes_anything() {
        let mut all = ["/{rest*}", "/{id}", "/a"].map(|it| RoutePath::parse(it).unwrap());
        all.sort();
        assert!(all[0].matches("a").unwrap().is_empty());
        assert!(RoutePath::parse("/x/{a}").unwrap().is_like(&RoutePath::parse("/x/{b}").unwrap()));
    }
}
