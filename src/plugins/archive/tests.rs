use super::*;
use crate::error::Code;

/// A zip file of entries: path, content, mode.
fn zip_of(entries: &[(&str, &[u8], u32)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, content, mode) in entries {
        let options = SimpleFileOptions::default().unix_permissions(*mode);
        if path.ends_with('/') {
            zip.add_directory(*path, options).unwrap();
        } else if *mode == 0o120_777 {
            zip.add_symlink(*path, std::str::from_utf8(content).unwrap(), options).unwrap();
        } else {
            zip.start_file(*path, options).unwrap();
            zip.write_all(content).unwrap();
        }
    }
    zip.finish().unwrap().into_inner()
}

fn fault(entries: &[(&str, &[u8], u32)]) -> Error {
    unpack(&zip_of(entries)).unwrap_err()
}

#[test]
fn what_is_packed_comes_out_again_and_packs_to_the_same_bytes() {
    let files: BTreeMap<String, Arc<[u8]>> =
        [("init.lua", "return 1"), ("lib/a.lua", ""), ("README.md", "# é")]
            .into_iter()
            .map(|(path, text)| (path.to_owned(), text.as_bytes().into()))
            .collect();
    let packed = pack("greeter", &files).unwrap();
    let unpacked = unpack(&packed).unwrap();
    assert_eq!((unpacked.files, unpacked.folder.as_deref()), (files.clone(), Some("greeter")));
    assert_eq!(pack("greeter", &files).unwrap(), packed);
}

#[test]
fn files_may_lie_at_the_top_and_what_is_no_part_of_a_plugin_is_left_out() {
    let unpacked = unpack(&zip_of(&[
        ("init.lua", b"1", 0o644),
        ("lib/", b"", 0o755),
        ("lib/a.lua", b"2", 0o755),
        ("lib/native.so", b"3", 0o644),
        (".git/config", b"4", 0o644),
    ]))
    .unwrap();
    assert_eq!(unpacked.files.keys().collect::<Vec<_>>(), ["init.lua", "lib/a.lua"]);
    assert_eq!(unpacked.folder, None);
    assert_eq!(unpacked.ignored.len(), 2);
    let desktop =
        unpack(&zip_of(&[("p/init.lua", b"1", 0o644), ("__MACOSX/p/._init.lua", b"", 0o644)])).unwrap();
    assert_eq!(desktop.files.keys().collect::<Vec<_>>(), ["init.lua"]);
    assert_eq!((desktop.folder.as_deref(), desktop.ignored.len()), (Some("p"), 1));
}

#[test]
fn what_leads_out_is_a_link_or_is_no_zip_file_is_refused_as_a_whole() {
    for path in ["../evil.lua", "p/../../evil.lua", "/etc/evil.lua", "p\\..\\evil.lua", "C:evil.lua"] {
        let error = fault(&[("init.lua", b"1", 0o644), (path, b"2", 0o644)]);
        assert_eq!(error.code, Code::Invalid, "{path}");
        assert!(error.detail.contains("leads out"), "{path}: {}", error.detail);
    }
    let link = fault(&[("init.lua", b"1", 0o644), ("a.lua", b"/etc/passwd", 0o120_777)]);
    assert!(link.detail.contains("link"), "{}", link.detail);
    for bytes in [&b""[..], b"hello", b"PK\x03\x04", b"PK\x05\x06"] {
        assert_eq!(unpack(bytes).unwrap_err().code, Code::Invalid);
    }
}

#[test]
fn the_same_name_twice_and_encrypted_entries_are_refused() {
    let mut twice = zip_of(&[("aaaa.lua", b"1", 0o644), ("bbbb.lua", b"2", 0o644)]);
    while let Some(at) = memchr::memmem::find(&twice, b"bbbb.lua") {
        twice[at..at + 4].copy_from_slice(b"aaaa");
    }
    let error = unpack(&twice).unwrap_err();
    assert!(error.detail.contains("same name twice"), "{}", error.detail);
    let mut secret = zip_of(&[("init.lua", b"1", 0o644)]);
    let central = memchr::memmem::find(&secret, b"PK\x01\x02").unwrap();
    secret[central + 8] |= 1;
    secret[6] |= 1;
    let error = unpack(&secret).unwrap_err();
    assert!(error.detail.contains("encrypted"), "{}", error.detail);
}

#[test]
fn a_bomb_is_cut_off_while_it_is_unpacked() {
    let big = vec![0; 64 << 20];
    let bomb = zip_of(&[("init.lua", &big, 0o644)]);
    assert!(bomb.len() < 100_000);
    let error = unpack(&bomb).unwrap_err();
    assert_eq!(error.code, Code::TooLarge);
    assert!(error.detail.contains("262144"), "{}", error.detail);
    let names: Vec<String> = (0..20).map(|it| format!("{it}.lua")).collect();
    let many: Vec<(&str, &[u8], u32)> =
        names.iter().map(|it| (it.as_str(), &big[..200_000], 0o644)).collect();
    assert!(fault(&many).detail.contains("2097152"));
    // What an entry says of its own size is not believed.
    let mut liar = zip_of(&[("init.lua", &big[..1 << 20], 0o644)]);
    let central = memchr::memmem::find(&liar, b"PK\x01\x02").unwrap();
    liar[central + 24..central + 28].copy_from_slice(&10u32.to_le_bytes());
    assert!(matches!(unpack(&liar).unwrap_err().code, Code::TooLarge | Code::Invalid));
    let names: Vec<String> = (0..4_001).map(|it| format!("{it}.lua")).collect();
    let many: Vec<(&str, &[u8], u32)> = names.iter().map(|it| (it.as_str(), &b""[..], 0o644)).collect();
    assert!(fault(&many).detail.contains("4001 entries"));
}
