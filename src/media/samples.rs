//! Audio files that tests make for themselves.
