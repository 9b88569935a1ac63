//! Texts as people give them: few words are common and most are rare.

/// Words that the measurements look for.
pub const COMMON: &str = "clutch";
pub const RARE: &str = "zanzibar";

/// Chance that is the same in every run (xorshift).
pub struct Chance(u64);

impl Chance {
    pub fn of(seed: usize) -> Self {
        // Neighbouring seeds shall have nothing in common.
        let mut chance = Chance((seed as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        chance.next();
        chance
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Below `end`, small ones by far more often.
    pub fn low(&mut self, end: u64) -> u64 {
        let part = self.below(1 << 20) as f64 / (1u64 << 20) as f64;
        ((end as f64).powf(part) as u64 - 1).min(end - 1)
    }

    /// One of 6 000 words.
    pub fn word(&mut self) -> String {
        const PARTS: [&str; 18] = [
            "ka", "lo", "mi", "ter", "san", "dre", "vu", "po", "ral", "gin", "sho", "ne", "tur", "bel", "fa",
            "rix", "o", "ul",
        ];
        let mut number = self.low(6_000) as usize + 18;
        let mut word = String::new();
        while number > 0 {
            word.push_str(PARTS[number % 18]);
            number /= 18;
        }
        word
    }

    /// So many words, every fifth text with the common one.
    pub fn text(&mut self, words: usize) -> String {
        let mut all: Vec<String> = (0..words).map(|_| self.word()).collect();
        if self.below(5) == 0 {
            all[0] = COMMON.to_owned();
        }
        all.join(" ")
    }
}
