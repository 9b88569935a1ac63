//! Inputs that nobody thought of: every target is a test that replays the files of `tests/it/corpus/<target>`, then
//! mends and breaks them at random, for a second, or for `BOLERO_RANDOM_TEST_TIME_MS` milliseconds.
//!
//! What a target holds of every input stands in the `fuzz.rs` beside the code it is about. An input that broke
//! something becomes a file of the corpus.

use std::path::Path;

use bolero::{TypeGenerator, ValueGenerator, produce};

/// Bytes an input may have.
const MAX_LEN: usize = 64 << 10;

/// What happens to one input of the corpus.
#[derive(Clone, Debug, TypeGenerator)]
enum Edit {
    Set {
        at: u16,
        byte: u8,
    },
    Insert {
        at: u16,
        bytes: Vec<u8>,
    },
    Remove {
        at: u16,
        len: u8,
    },
    /// Copies a piece of another input.
    Splice {
        at: u16,
        input: u8,
        from: u16,
        len: u8,
    },
    Repeat {
        at: u16,
        len: u8,
        times: u8,
    },
    /// A word that means something here.
    Word {
        at: u16,
        word: u8,
    },
    CutOff {
        at: u16,
    },
}

/// Holds `check` against the corpus of `target` and what random makes of it; `words` mean something to it.
pub fn run(target: &str, words: &'static [&'static str], check: impl Fn(&[u8]) + std::panic::RefUnwindSafe) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    let corpus: Vec<Vec<u8>> = files.iter().map(|it| std::fs::read(it).unwrap()).collect();
    assert!(!corpus.is_empty(), "{target} has inputs to begin with");
    for (file, input) in files.iter().zip(&corpus) {
        let done = std::panic::catch_unwind(|| check(input));
        assert!(done.is_ok(), "{} broke it", file.display());
    }
    let inputs = (produce::<u8>(), produce::<Vec<Edit>>().with().len(0..12_usize))
        .map_gen(move |(first, edits)| edited(&corpus, words, first, &edits));
    bolero::check!().with_generator(inputs).for_each(|input: &Vec<u8>| check(input));
}

/// Two parts of an input, on its first line and behind it.
pub fn halves(input: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(input);
    let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
    (first.to_owned(), rest.to_owned())
}

fn edited(corpus: &[Vec<u8>], words: &[&str], first: u8, edits: &[Edit]) -> Vec<u8> {
    let mut input = corpus[first as usize % corpus.len()].clone();
    for edit in edits {
        let place = |at: u16| at as usize % (input.len() + 1);
        let piece = |from: &[u8], at: usize, len: u8| from[at..(at + len as usize).min(from.len())].to_vec();
        match edit {
            Edit::Set { at, byte } => {
                let at = place(*at);
                if let Some(it) = input.get_mut(at) {
                    *it = *byte;
                }
            }
            Edit::Insert { at, bytes } => insert(&mut input, *at, bytes),
            Edit::Remove { at, len } => {
                let at = place(*at);
                let end = (at + *len as usize).min(input.len());
                input.drain(at..end);
            }
            Edit::Splice { at, input: other, from, len } => {
                let other = &corpus[*other as usize % corpus.len()];
                let piece = piece(other, *from as usize % (other.len() + 1), *len);
                insert(&mut input, *at, &piece);
            }
            Edit::Repeat { at, len, times } => {
                let piece = piece(&input, place(*at), *len);
                insert(&mut input, *at, &piece.repeat(*times as usize));
            }
            Edit::Word { at, word } => {
                let word = words.get(*word as usize % words.len().max(1)).copied().unwrap_or_default();
                insert(&mut input, *at, word.as_bytes());
            }
            Edit::CutOff { at } => input.truncate(place(*at)),
        }
        input.truncate(MAX_LEN);
    }
    input
}

fn insert(input: &mut Vec<u8>, at: u16, bytes: &[u8]) {
    let at = at as usize % (input.len() + 1);
    input.splice(at..at, bytes.iter().copied());
}
