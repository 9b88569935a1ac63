//! Identifiers that are the same for the same seed.

use crate::lua::chance::next;

use super::World;

impl World {
    /// Bytes for an identifier, in the form of a random UUID.
    pub(super) fn random_bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        for half in bytes.chunks_exact_mut(8) {
            half.copy_from_slice(&next(&self.chance).to_le_bytes());
        }
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        bytes
    }
}
