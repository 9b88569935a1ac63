//! Which known word a misspelt one probably stands for.

/// Bytes of what may be a misspelt name: the work grows with the length, and no name is that long.
const MAX_NAME_BYTES: usize = 64;

/// The known name that `given` probably stands for.
pub fn find_similar<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .filter(|_| given.len() <= MAX_NAME_BYTES)
        .map(|it| (strsim::damerau_levenshtein(given, it), it))
        .filter(|(distance, it)| *distance <= 1.max(it.len() / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, it)| it)
}
