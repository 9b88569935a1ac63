//! What the SQL of a plugin may do: its own tables in its own file, and nothing else.

use std::sync::Arc;

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use super::gauge::{Gauge, Mode};

/// Names that begin so belong to the host.
pub(super) const OWN_PREFIX: &str = "_panotti";

/// The function behind `INSERT INTO events`, and the one trigger that may call it.
pub(super) const PUBLISH: &str = "_panotti_publish";
pub(super) const PUBLISH_TRIGGER: &str = "_panotti_events_insert";

/// Pragmas that only look; with or without a table's name.
const PRAGMAS: &[&str] = &[
    "data_version",
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "table_info",
    "table_list",
    "table_xinfo",
];

/// Pragmas that only look when they are given no value.
const PLAIN_PRAGMAS: &[&str] = &["freelist_count", "page_count", "page_size", "user_version"];

/// Modules that tables may be made of.
const MODULES: &[&str] = &["fts5", "fts5vocab", "rtree", "rtree_i32"];

/// Functions that reach out of the file, or run long where nothing stops them.
const FUNCTIONS: &[&str] =
    &["edit", "fts3_tokenizer", "json_patch", "jsonb_patch", "load_extension", "readfile", "writefile"];

const TEMPORARY: &str = "temporary tables, views and triggers are not allowed";

/// The authorizer of a connection.
pub(super) fn authorizer(
    gauge: Arc<Gauge>,
) -> impl for<'c> FnMut(AuthContext<'c>) -> Authorization + Send + 'static {
    move |asked| {
        if gauge.mode() == Mode::Host {
            return Authorization::Allow;
        }
        if let AuthAction::Insert { table_name } = asked.action
            && asked.accessor.is_none()
            && !is_internal(table_name)
        {
            gauge.note_insert();
        }
        match judge(&asked) {
            Ok(()) => Authorization::Allow,
            Err(why) => {
                gauge.deny(why);
                Authorization::Deny
            }
        }
    }
}

fn judge(asked: &AuthContext<'_>) -> Result<(), String> {
    use AuthAction as A;
    let looks = matches!(
        asked.action,
        A::Select | A::Recursive | A::Read { .. } | A::Function { .. } | A::Pragma { .. }
    );
    let is_temp = asked.database_name.is_some_and(|it| it.eq_ignore_ascii_case("temp"));
    // ALTER TABLE looks through the temporary schema too; what would put something there asks for that by itself.
    let is_free = match asked.action {
        A::Insert { table_name } => is_one_of(table_name, &["events", "sqlite_temp_master"]),
        A::Update { table_name, .. } | A::Delete { table_name } => {
            is_one_of(table_name, &["sqlite_temp_master", "sqlite_master"])
        }
        _ => looks,
    };
    if is_temp && !is_free {
        return Err(TEMPORARY.to_owned());
    }
    match asked.action {
        A::Select | A::Recursive | A::Read { .. } => Ok(()),
        A::Function { function_name } => function(function_name, asked.accessor),
        A::Insert { table_name } | A::Delete { table_name } | A::Update { table_name, .. } => {
            rows(table_name)
        }
        A::CreateTable { table_name: name }
        | A::DropTable { table_name: name }
        | A::AlterTable { table_name: name, .. }
        | A::CreateView { view_name: name }
        | A::DropView { view_name: name }
        | A::DropVtable { table_name: name, .. }
        | A::Reindex { index_name: name } => own(name),
        A::CreateIndex { index_name, table_name } | A::DropIndex { index_name, table_name } => {
            own(index_name).and_then(|()| own(table_name))
        }
        A::CreateTrigger { trigger_name, table_name } | A::DropTrigger { trigger_name, table_name } => {
            own(trigger_name).and_then(|()| own(table_name))
        }
        A::CreateVtable { table_name, module_name } => match is_one_of(module_name, MODULES) {
            true => own(table_name),
            false => Err(format!("virtual tables of {module_name} are not there; fts5 and rtree are")),
        },
        A::Pragma { pragma_name, pragma_value } => {
            let looks = is_one_of(pragma_name, PRAGMAS)
                || (is_one_of(pragma_name, PLAIN_PRAGMAS) && pragma_value.is_none());
            looks.then_some(()).ok_or_else(|| format!("PRAGMA {pragma_name} is not allowed"))
        }
        A::Transaction { .. } | A::Savepoint { .. } => {
            Err("transactions are made with panotti.db.transaction".to_owned())
        }
        A::Attach { .. } | A::Detach { .. } => {
            Err("a plugin has one database: ATTACH, DETACH and VACUUM are not allowed".to_owned())
        }
        A::Analyze { .. } => Err("ANALYZE is not allowed".to_owned()),
        A::CreateTempTable { .. }
        | A::CreateTempIndex { .. }
        | A::CreateTempTrigger { .. }
        | A::CreateTempView { .. }
        | A::DropTempTable { .. }
        | A::DropTempIndex { .. }
        | A::DropTempTrigger { .. }
        | A::DropTempView { .. } => Err(TEMPORARY.to_owned()),
        _ => Err("the statement is not allowed".to_owned()),
    }
}

/// Reading is free; writing rows is not, where they are the host's or SQLite's.
fn rows(table: &str) -> Result<(), String> {
    // Statements that change the schema write `sqlite_master` themselves; others cannot.
    match table.to_ascii_lowercase().as_str() {
        it if it.starts_with("sqlite_stat") => Err(format!("{table} may not be modified")),
        _ => own(table),
    }
}

fn own(name: &str) -> Result<(), String> {
    let hosts = name.get(..OWN_PREFIX.len()).is_some_and(|it| it.eq_ignore_ascii_case(OWN_PREFIX));
    match hosts {
        true => Err(format!("{name}: names that begin with {OWN_PREFIX} are the server's")),
        false => Ok(()),
    }
}

fn function(name: &str, accessor: Option<&str>) -> Result<(), String> {
    let hosts = name.eq_ignore_ascii_case(PUBLISH) && accessor != Some(PUBLISH_TRIGGER);
    match hosts || is_one_of(name, FUNCTIONS) {
        true => Err(format!("the function {name} is not allowed")),
        false => Ok(()),
    }
}

fn is_internal(table: &str) -> bool {
    table.get(..7).is_some_and(|it| it.eq_ignore_ascii_case("sqlite_"))
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|it| it.eq_ignore_ascii_case(name))
}
