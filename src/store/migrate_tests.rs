//! Migrations go up and down, keep a copy, and stop before a newer schema.

use std::fs;
use std::path::Path;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_migrations::{FileBasedMigrations, MigrationHarness};

use super::connection::Reader;
use super::migrate::{MIGRATIONS, migrate};
use super::statement::{Bind, statement};
use super::testing::{event, options, revert_until, store};
use super::{Store, Tx};
use crate::model::event::Event;

fn schema(reader: &mut Reader) -> Vec<String> {
    statement::<Text>("SELECT name || coalesce(sql, '') FROM sqlite_schema ORDER BY name")
        .load(&mut reader.conn)
        .unwrap()
}

#[test]
fn all_migrations_go_down_to_nothing_and_up_to_the_same_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let mut reader = Reader::open_writer(&path).unwrap();
    assert_eq!(migrate(&mut reader, &path, MIGRATIONS).unwrap(), None);
    let up = schema(&mut reader);
    reader.conn.revert_all_migrations(MIGRATIONS).unwrap();
    let left: Vec<_> =
        schema(&mut reader).into_iter().filter(|it| !it.contains("schema_migrations")).collect();
    assert!(left.iter().all(|it| it.starts_with("sqlite_sequence")), "{left:?}");
    migrate(&mut reader, &path, MIGRATIONS).unwrap();
    assert_eq!(schema(&mut reader), up);
}

#[test]
fn the_types_of_a_journal_are_the_same_by_blocks_and_by_events_after_a_migration() {
    let (folder, store) = store();
    let put = |tx: &mut Tx| {
        (0..300).try_for_each(|n| {
            let kind = if n % 100 == 7 { "rare" } else { "often" };
            tx.insert_event(&Event { kind: kind.to_owned(), ..event(&format!("e{n}"), None) }).map(drop)
        })
    };
    store.write_blocking(put).unwrap();
    drop(store);
    let path = options(&folder).path;
    let mut reader = Reader::open_writer(&path).unwrap();
    let by_blocks = |reader: &mut Reader| -> Vec<(String, i64)> {
        let rows = statement::<(Text, BigInt)>("SELECT kind, block FROM event_kinds ORDER BY kind, block");
        rows.load(&mut reader.conn).unwrap()
    };
    let written = by_blocks(&mut reader);
    assert_eq!(written.iter().filter(|it| it.0 == "rare").map(|it| it.1).collect::<Vec<_>>(), [0, 1, 3]);
    assert_eq!(written.iter().filter(|it| it.0 == "often").count(), 5, "{written:?}");
    revert_until(&mut reader, "20260328000000");
    let plan = statement::<Text>("SELECT seq FROM events WHERE kind = 'rare'").explained(&mut reader);
    assert!(plan.iter().any(|it| it.contains("events_by_kind")), "{plan:?}");
    migrate(&mut reader, &path, MIGRATIONS).unwrap();
    assert_eq!(by_blocks(&mut reader), written);
}

#[test]
fn a_database_of_a_newer_version_is_left_alone_with_a_clear_message() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder);
    drop(Store::open(&options).unwrap());
    let mut reader = Reader::open_writer(&options.path).unwrap();
    statement::<()>("INSERT INTO __diesel_schema_migrations (version) VALUES ('29991231235959')")
        .execute(&mut reader.conn)
        .unwrap();
    drop(reader);
    let error = Store::open(&options).unwrap_err();
    let cause = error.source.unwrap().to_string();
    assert!(cause.contains("newer panotti") && cause.contains("29991231235959"), "{cause}");
}

fn write_migration(folder: &Path, name: &str, up: &str) {
    let own = folder.join(name);
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join("up.sql"), up).unwrap();
    fs::write(own.join("down.sql"), "SELECT 1").unwrap();
}

#[test]
fn a_database_with_data_is_copied_before_it_is_migrated_and_a_failed_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let migrations = folder.path().join("migrations");
    let path = folder.path().join("test.db");
    write_migration(
        &migrations,
        "20200101000000_one",
        "CREATE TABLE one (n BIGINT); INSERT INTO one VALUES (42);",
    );
    let source = || FileBasedMigrations::from_path(&migrations).unwrap();
    let mut reader = Reader::open_writer(&path).unwrap();
    assert_eq!(migrate(&mut reader, &path, source()).unwrap(), None, "nothing to copy yet");

    write_migration(
        &migrations,
        "20200102000000_two",
        "DROP TABLE one; CREATE TABLE two (n BIGINT); broken;",
    );
    migrate(&mut reader, &path, source()).unwrap_err();
    let kept = |reader: &mut Reader| {
        statement::<BigInt>("SELECT n FROM one").get_result::<i64>(&mut reader.conn).unwrap()
    };
    assert_eq!(kept(&mut reader), 42);

    write_migration(&migrations, "20200102000000_two", "DROP TABLE one; CREATE TABLE two (n BIGINT);");
    let copy = migrate(&mut reader, &path, source()).unwrap().unwrap();
    assert!(copy.ends_with("test.db.before-20200102000000"), "{}", copy.display());
    assert_eq!(kept(&mut Reader::open_reader(&copy).unwrap()), 42);
}

#[test]
fn no_row_that_is_stored_needs_a_table_of_its_own_to_be_checked() {
    let folder = tempfile::tempdir().unwrap();
    let mut reader = Reader::open_writer(&folder.path().join("test.db")).unwrap();
    migrate(&mut reader, &folder.path().join("test.db"), MIGRATIONS).unwrap();
    for table in [
        "clips",
        "recordings",
        "tracks",
        "events",
        "deliveries",
        "clip_tags",
        "counters",
        "plugin_tasks",
        "webhook_attempts",
    ] {
        let columns: Vec<String> = statement::<Text>("SELECT name FROM pragma_table_info(?)")
            .bind(table)
            .load(&mut reader.conn)
            .unwrap();
        let marks = vec!["?"; columns.len()].join(", ");
        type Step = (BigInt, Text, BigInt, BigInt, BigInt, Nullable<Text>, BigInt, Nullable<Text>);
        let explain = format!("EXPLAIN INSERT INTO {table} ({}) VALUES ({marks})", columns.join(", "));
        let nothing = columns.iter().map(|_| Bind::from(None::<i64>));
        type Told = (i64, String, i64, i64, i64, Option<String>, i64, Option<String>);
        let steps: Vec<Told> = statement::<Step>(explain).binds(nothing).load(&mut reader.conn).unwrap();
        let steps: Vec<_> = steps.into_iter().map(|it| it.1).collect();
        assert!(steps.iter().any(|it| it == "Insert" || it == "IdxInsert"), "{table}: {steps:?}");
        assert!(!steps.iter().any(|it| it.contains("Ephemeral")), "{table}: {steps:?}");
    }
}
