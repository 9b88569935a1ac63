//! Names that every call gives again, such as those of fields and headers: as Lua strings they are looked up, not made.

use std::cell::OnceCell;

use mlua::{Either, Lua, LuaString};

/// Places for names; a power of two.
const PLACES: usize = 128;

/// Longer names are made each time.
const MAX_LEN: usize = 32;

/// A name on its way to Lua.
pub type Word<'a> = Either<&'a LuaString, &'a str>;

type Place = OnceCell<(Box<str>, LuaString)>;

/// The names that a VM has kept. Each has one place; the first one that comes there stays, so that nobody who makes up
/// names has the others made anew.
#[derive(Default)]
pub struct Words(OnceCell<Box<[Place]>>);

impl Words {
    /// The kept string of `name`, or `name` itself where another one was before it.
    pub fn get<'a>(&'a self, lua: &Lua, name: &'a str) -> Word<'a> {
        if name.len() > MAX_LEN {
            return Either::Right(name);
        }
        let places = self.0.get_or_init(|| (0..PLACES).map(|_| OnceCell::new()).collect());
        let place = &places[place_of(name)];
        if place.get().is_none()
            && let Ok(made) = lua.create_string(name)
        {
            let _ = place.set((name.into(), made));
        }
        match place.get() {
            Some((kept, made)) if **kept == *name => Either::Left(made),
            _ => Either::Right(name),
        }
    }
}

fn place_of(name: &str) -> usize {
    let bytes = name.as_bytes();
    let at = |index: usize| usize::from(bytes.get(index).copied().unwrap_or_default());
    let (middle, last) = (bytes.len() / 2, bytes.len().saturating_sub(1));
    (bytes.len() * 7 + at(0) * 31 + at(middle) * 5 + at(last)) % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_unless_another_has_its_place() {
        let (lua, words) = (Lua::new(), Words::default());
        let same = |name: &str| match words.get(&lua, name) {
            Either::Left(kept) => kept.to_str().unwrap() == name,
            Either::Right(plain) => plain == name,
        };
        let names: Vec<String> = (0..1_000).map(|it| format!("x-name-{it}")).collect();
        assert!(names.iter().chain(&names).all(|it| same(it)));
        let kept = names.iter().filter(|it| matches!(words.get(&lua, it), Either::Left(_))).count();
        assert!((1..=PLACES).contains(&kept), "{kept}");
        assert!(same("") && same(&"x".repeat(1_000)));
    }

    #[test]
    fn the_usual_names_have_places_of_their_own() {
        let (lua, words) = (Lua::new(), Words::default());
        let usual = [
            "id",
            "method",
            "path",
            "query",
            "headers",
            "remote",
            "status",
            "duration",
            "request",
            "host",
            "accept",
            "user-agent",
            "content-type",
            "content-length",
            "x-request-id",
            "accept-encoding",
            "connection",
            "cache-control",
            "etag",
            "origin",
            "referer",
        ];
        let kept = usual.iter().filter(|it| matches!(words.get(&lua, it), Either::Left(_))).count();
        assert!(kept >= usual.len() - 2, "{kept} of {}", usual.len());
    }
}
