//! When a certificate is valid, read from its DER: the TLS library leaves that to clients.

use crate::model::time::{MissingOffset, Timestamp};

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version stands before the serial number in all certificates but those of version 1.
const VERSION: u8 = 0xa0;

/// The time in which a certificate is valid, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    /// Not before.
    pub(super) from: Timestamp,
    /// Not after.
    pub(super) until: Timestamp,
}

/// When a certificate is valid; none when that cannot be read.
pub(super) fn validity(certificate: &[u8]) -> Option<Validity> {
    let signed = Element::first(certificate)?.content;
    let mut field = Element::first(Element::first(signed)?.content)?;
    if field.tag == VERSION {
        field = Element::first(field.rest)?;
    }
    // This is the serial number; the algorithm, the issuer and the validity follow.
    for _ in 0..3 {
        field = Element::first(field.rest)?;
    }
    let from = Element::first(field.content)?;
    let until = Element::first(from.rest)?;
    Some(Validity { from: from.time()?, until: until.time()? })
}

/// One element of DER.
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    /// What follows it.
    rest: &'a [u8],
}

impl<'a> Element<'a> {
    fn first(der: &'a [u8]) -> Option<Self> {
        let (&tag, der) = der.split_first()?;
        let (&length, mut der) = der.split_first()?;
        let mut length = usize::from(length);
        if length >= 0x80 {
            // So many bytes hold the length; four are more than a certificate needs.
            let (bytes, rest) = der.split_at_checked(length - 0x80).filter(|(it, _)| it.len() <= 4)?;
            length = bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            der = rest;
        }
        let (content, rest) = der.split_at_checked(length)?;
        Some(Self { tag, content, rest })
    }

    fn time(&self) -> Option<Timestamp> {
        let digits = std::str::from_utf8(self.content).ok()?.strip_suffix('Z')?;
        let digits = match (self.tag, digits.get(..2)?) {
            (UTC_TIME, year) if year < "50" => format!("20{digits}"),
            (UTC_TIME, _) => format!("19{digits}"),
            (GENERALIZED_TIME, _) => digits.to_owned(),
            _ => return None,
        };
        Timestamp::parse(&digits, MissingOffset::Refused).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_or_no_certificate_has_no_dates() {
        let whole = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let whole: &[u8] = whole.cert.der();
        assert!(validity(whole).is_some());
        for length in 0..whole.len() {
            assert_eq!(validity(&whole[..length]), None, "{length}");
        }
        for wrong in [
            &[0x30, 0x80][..],
            &[0x30, 0x89, 1, 1, 1, 1, 1, 1, 1, 1, 1],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            b"text",
        ] {
            assert_eq!(validity(wrong), None);
        }
    }
}
