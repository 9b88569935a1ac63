//! The last line of a stub: which server wrote it, and a hash by which it knows its own work again.

/// What the line begins with.
const MARK: &str = "-- Written by panotti ";

/// `text` with the line at its end.
pub fn sealed(text: &str) -> String {
    let hash = blake3::hash(text.as_bytes()).to_hex();
    format!(
        "{text}{MARK}{}, which renews it unless it was edited: {}\n",
        env!("CARGO_PKG_VERSION"),
        &hash[..32]
    )
}

/// Whether a server wrote `text`, of any version, and nobody has edited it since.
pub fn is_own(text: &str) -> bool {
    let Some(at) = text.rfind(MARK).filter(|at| text[..*at].ends_with('\n')) else { return false };
    let (body, line) = text.split_at(at);
    let hash = blake3::hash(body.as_bytes()).to_hex();
    line.ends_with(&format!(": {}\n", &hash[..32])) && line.lines().count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_breaks_the_seal() {
        let text = sealed("-- a\nreturn 1\n");
        assert!(is_own(&text));
        assert!(is_own(&text.replace(env!("CARGO_PKG_VERSION"), "0.0.1")), "an older server wrote it");
        for edited in [
            text.replace("1\n", "2\n"),
            format!("{text}-- mine\n"),
            text.replace("-- a\n", ""),
            "return 1\n".to_owned(),
        ] {
            assert!(!is_own(&edited), "{edited}");
        }
    }
}
