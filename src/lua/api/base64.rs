//! `panotti.base64`: bytes as text.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use mlua::Table;

use super::define::{Build, Reply};

pub(super) fn build(build: &Build) -> mlua::Result<Table> {
    let module = build.lua.create_table()?;
    let encode = build.function("panotti.base64.encode", |_, _, args| {
        let bytes = args.bytes("bytes")?;
        let options = args.options("options", &["url"])?;
        let text = match options.boolean("url")? {
            Some(true) => base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes.as_bytes()),
            _ => base64::engine::general_purpose::STANDARD.encode(bytes.as_bytes()),
        };
        Ok(Reply::Bytes(text.into_bytes()))
    })?;
    module.raw_set("encode", encode)?;
    let decode = build.function("panotti.base64.decode", |_, _, args| {
        let text = args.bytes("text")?;
        let text = text.as_bytes();
        let is_url = text.iter().any(|it| matches!(it, b'-' | b'_'));
        let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let engine = GeneralPurpose::new(if is_url { &URL_SAFE } else { &STANDARD }, lenient);
        Ok(match engine.decode(&*text) {
            Ok(bytes) => Reply::Bytes(bytes),
            Err(err) => Reply::Failed { code: "not_base64", message: err.to_string() },
        })
    })?;
    module.raw_set("decode", decode)?;
    Ok(module)
}
