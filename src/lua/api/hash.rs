//! `panotti.hash`: digests in hex.

use hmac::{Hmac, Mac};
use mlua::Table;
use sha2::{Digest, Sha256};

use super::define::{Build, Raise, Reply};

pub(super) fn build(build: &Build) -> mlua::Result<Table> {
    let module = build.lua.create_table()?;
    let sha256 = build.function("panotti.hash.sha256", |_, _, args| {
        let bytes = args.bytes("bytes")?;
        Ok(hex(&Sha256::digest(bytes.as_bytes())))
    })?;
    module.raw_set("sha256", sha256)?;
    let hmac = build.function("panotti.hash.hmac_sha256", |_, _, args| {
        let (key, bytes) = (args.bytes("key")?, args.bytes("bytes")?);
        let mac = Hmac::<Sha256>::new_from_slice(&key.as_bytes());
        let mut mac = mac.map_err(|err| Raise::Wrong(err.to_string()))?;
        mac.update(&bytes.as_bytes());
        Ok(hex(&mac.finalize().into_bytes()))
    })?;
    module.raw_set("hmac_sha256", hmac)?;
    let blake3 = build.function("panotti.hash.blake3", |_, _, args| {
        let bytes = args.bytes("bytes")?;
        Ok(hex(blake3::hash(&bytes.as_bytes()).as_bytes()))
    })?;
    module.raw_set("blake3", blake3)?;
    Ok(module)
}

fn hex(digest: &[u8]) -> Reply {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = digest.iter().flat_map(|it| [DIGITS[usize::from(it >> 4)], DIGITS[usize::from(it & 15)]]);
    Reply::Bytes(digits.collect())
}
