use serde_json::json;

use super::*;

const RULES: &[Rule] = &[
    rule("title", &[], Kind::Text { min: 1, max: 5 }, true),
    rule("fps", &[], Kind::Number { or_zero: false }, false),
    rule("file_size", &[], Kind::Integer { min: 1 }, false),
    rule("recorded_at", &[], Kind::Time, false),
    rule("tags", &[], Kind::Tags, false),
    rule("metadata", &["clip_metadata"], Kind::Metadata, false),
    rule("tracks", &[], Kind::TrackPaths, false),
];

const fn rule(name: &'static str, aliases: &'static [&'static str], kind: Kind, required: bool) -> Rule {
    Rule { name, aliases, kind, required, doc: "A field." }
}

const CREATE: Reading =
    Reading { creates: true, ignores_unknown: false, offset: MissingOffset::Refused, metadata_max_bytes: 32 };

fn read(body: Value, how: Reading) -> Result<Checked> {
    check(RULES, body.as_object().unwrap().clone(), how)
}

fn pointers(body: Value, how: Reading) -> Vec<String> {
    read(body, how).unwrap_err().errors.into_iter().map(|it| it.pointer).collect()
}

#[test]
fn all_faults_are_told_at_once_with_their_pointers() {
    let body = json!({
        "fps": 0, "file_size": 1.5, "recorded_at": "yesterday", "tags": ["a", 1, ""], "titel": "x",
        "metadata": {"k": "0123456789012345678901234567890"}, "tracks": {"Sys/tem": 1},
    });
    let expected = [
        "/title",
        "/fps",
        "/file_size",
        "/recorded_at",
        "/tags/1",
        "/tags/2",
        "/metadata",
        "/tracks/Sys~1tem",
        "/tracks/Sys~1tem",
        "/titel",
    ];
    assert_eq!(pointers(body, CREATE), expected);
}

#[test]
fn an_unknown_key_is_told_what_was_probably_meant() {
    let error = read(json!({"title": "x", "metdata": {}}), CREATE).unwrap_err();
    assert_eq!(error.errors[0].message, "is not a field here (did you mean `metadata`?)");
    assert!(read(json!({"title": "x", "metdata": {}}), Reading { ignores_unknown: true, ..CREATE }).is_ok());
}

#[test]
fn an_alias_is_the_same_field_but_not_beside_it() {
    let checked = read(json!({"title": "x", "clip_metadata": {"a": 1}}), CREATE).unwrap();
    assert_eq!(checked.object("metadata").unwrap()["a"], 1);
    assert_eq!(
        pointers(json!({"title": "x", "metadata": {}, "clip_metadata": {}}), CREATE),
        ["/clip_metadata"]
    );
}

#[test]
fn null_clears_an_optional_field_in_a_change_and_is_nothing_in_a_creation() {
    let change = Reading { creates: false, ..CREATE };
    assert_eq!(read(json!({"fps": null}), change).unwrap().get("fps"), Some(&Value::Null));
    assert_eq!(pointers(json!({"title": null}), change), ["/title"]);
    assert!(!read(json!({"title": "x", "fps": null}), CREATE).unwrap().has("fps"));
    assert_eq!(pointers(json!({"title": null}), CREATE), ["/title"]);
}

#[test]
fn times_are_kept_in_utc_and_whole_numbers_may_be_written_with_a_point() {
    let body = json!({"title": "x", "recorded_at": "2025-01-25T11:00:00+01:00", "file_size": 45.0});
    let checked = read(body, CREATE).unwrap();
    assert_eq!(checked.get("recorded_at").unwrap(), "2025-01-25T10:00:00Z");
    assert_eq!(checked.integer("file_size"), Some(45));
}

#[test]
fn a_plugins_patch_is_judged_by_the_same_rules() {
    let judge =
        |payload: Value| check_patched(RULES, &["title", "tags"], payload.as_object().unwrap(), CREATE);
    assert!(judge(json!({"title": "x", "fps": "not looked at"})).is_ok());
    assert_eq!(
        judge(json!({"title": "too long"})).unwrap_err(),
        "/title: must have 1 to 5 characters, not 8"
    );
    assert!(judge(json!({"tags": []})).unwrap_err().contains("/title"));
}

#[test]
fn the_schema_says_what_the_check_does() {
    for purpose in [Purpose::Create, Purpose::Change] {
        let schema = schema(RULES, purpose);
        let validator = jsonschema::validator_for(&schema).unwrap();
        let how = Reading { creates: purpose == Purpose::Create, ..CREATE };
        for body in [
            json!({"title": "x"}),
            json!({}),
            json!({"title": ""}),
            json!({"title": "x", "fps": 0}),
            json!({"title": "x", "tags": ["a"]}),
            json!({"title": "x", "tags": "a"}),
            json!({"title": "x", "unknown": 1}),
            json!({"title": "x", "metadata": []}),
        ] {
            assert_eq!(validator.is_valid(&body), read(body.clone(), how).is_ok(), "{purpose:?} {body}");
        }
    }
    assert_eq!(schema(RULES, Purpose::Change)["properties"]["fps"]["type"], json!(["number", "null"]));
}
