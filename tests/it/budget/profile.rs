//! What a file of callgrind says: instructions and calls of each function.

use std::collections::HashMap;

/// Longer names of functions are cut; what is the same then is counted together.
const NAME_CHARS: usize = 110;

/// Instructions of one request, by function.
#[derive(Debug, Default)]
pub struct Profile {
    own: HashMap<String, f64>,
    calls: HashMap<String, f64>,
}

impl Profile {
    /// Reads a profile of so many requests.
    pub fn read(text: &str, requests: usize) -> Self {
        let part = 1.0 / requests as f64;
        let (mut profile, mut names) = (Profile::default(), HashMap::new());
        let (mut here, mut callee) = (String::new(), String::new());
        // The line after `calls=` is what the callee cost: its own lines have that already.
        let mut is_of_callee = false;
        for line in text.lines() {
            if let Some(it) = line.strip_prefix("fn=") {
                here = named(&mut names, it);
            } else if let Some(it) = line.strip_prefix("cfn=") {
                callee = named(&mut names, it);
            } else if let Some(it) = line.strip_prefix("calls=") {
                let count: f64 = it.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(0.0);
                *profile.calls.entry(callee.clone()).or_default() += count * part;
                is_of_callee = true;
            } else if line.starts_with(|it: char| it.is_ascii_digit() || "+-*".contains(it)) {
                let cost: f64 = line.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or(0.0);
                if !std::mem::take(&mut is_of_callee) {
                    *profile.own.entry(here.clone()).or_default() += cost * part;
                }
            }
        }
        profile
    }

    /// A profile of these functions.
    pub fn of(functions: impl IntoIterator<Item = (String, u64)>) -> Self {
        let own = functions.into_iter().map(|(name, it)| (name, it as f64)).collect();
        Profile { own, ..Profile::default() }
    }

    /// All instructions.
    pub fn total(&self) -> u64 {
        self.own.values().sum::<f64>().round() as u64
    }

    /// How often a function was called.
    pub fn calls_of(&self, name: &str) -> f64 {
        self.calls.get(name).copied().unwrap_or(0.0)
    }

    /// Instructions of a function itself.
    pub fn own(&self, name: &str) -> u64 {
        self.own.get(name).map_or(0, |it| it.round() as u64)
    }

    /// The functions with the most instructions of their own.
    pub fn top(&self, count: usize) -> Vec<(&str, u64)> {
        let mut all: Vec<(&str, u64)> =
            self.own.iter().map(|(name, it)| (&**name, it.round() as u64)).collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        all.truncate(count);
        all
    }
}

/// `(12) a::b` names number 12, `(12)` is it.
fn named(names: &mut HashMap<String, String>, text: &str) -> String {
    let (number, name) = text.split_once(") ").unwrap_or((text.trim_end_matches(')'), ""));
    if !name.is_empty() {
        names.insert(number.to_owned(), plain(name));
    }
    names.get(number).cloned().unwrap_or_default()
}

/// A name that the next build has, too: without hashes, versions and the depth of recursion.
fn plain(name: &str) -> String {
    let name = name.split("@@").next().unwrap_or(name);
    let name = match name.rsplit_once('\'') {
        Some((before, depth)) if depth.bytes().all(|it| it.is_ascii_digit()) => before,
        _ => name,
    };
    let name = match name.rsplit_once("::h") {
        Some((before, hash)) if hash.len() == 16 && hash.bytes().all(|it| it.is_ascii_hexdigit()) => before,
        _ => name,
    };
    name.chars().take(NAME_CHARS).collect()
}

#[test]
fn a_file_of_callgrind_is_read_and_what_is_called_is_not_counted_twice() {
    let text = "events: Ir\nfn=(1) app::run::h0123456789abcdef\n10 600\n+1 20\ncfn=(2) free@@GLIBC_2.2.5\ncalls=4 0\n* 80\n\
                fn=(2)\n5 80\nfn=(3) app::run::h0123456789abcdef'2\n* 100\ntotals: 800\n";
    let profile = Profile::read(text, 2);
    assert_eq!(profile.total(), 400);
    assert_eq!(profile.top(5), [("app::run", 360), ("free", 40)]);
    assert_eq!((profile.calls_of("free"), profile.own("app::run"), profile.own("none")), (2.0, 360, 0));
}
