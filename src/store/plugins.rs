//! Plugins as they are registered.

use diesel::dsl::SqlTypeOf;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::sqlite::Sqlite;

use crate::error::{Code, Error, Result};
use crate::model::plugin::PluginRow;
use crate::model::time::Timestamp;

use super::connection::Reader;
use super::failure::OrFail;
use super::json::{from_text, to_text};
use super::schema::plugins;
use super::statement::prepared;
use super::tx::Tx;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = plugins)]
struct Row {
    name: String,
    display_name: Option<String>,
    description: Option<String>,
    version: Option<String>,
    author: Option<String>,
    plugin_type: String,
    entry_point: Option<String>,
    install_path: Option<String>,
    enabled: Option<bool>,
    registered: bool,
    metadata: String,
    created_at: i64,
    updated_at: i64,
}

type Columns = SqlTypeOf<<Row as Selectable<Sqlite>>::SelectExpression>;

impl Row {
    fn of(plugin: &PluginRow) -> Result<Self> {
        Ok(Row {
            name: plugin.name.clone(),
            display_name: plugin.display_name.clone(),
            description: plugin.description.clone(),
            version: plugin.version.clone(),
            author: plugin.author.clone(),
            plugin_type: plugin.plugin_type.clone(),
            entry_point: plugin.entry_point.clone(),
            install_path: plugin.install_path.clone(),
            enabled: plugin.enabled,
            registered: plugin.registered,
            metadata: to_text(&plugin.metadata)?,
            created_at: plugin.created_at.0,
            updated_at: plugin.updated_at.0,
        })
    }
}

fn plugin_of((id, version_count, row): (i64, i64, Row)) -> Result<PluginRow> {
    Ok(PluginRow {
        id,
        name: row.name,
        display_name: row.display_name,
        description: row.description,
        version: row.version,
        author: row.author,
        plugin_type: row.plugin_type,
        entry_point: row.entry_point,
        install_path: row.install_path,
        enabled: row.enabled,
        registered: row.registered,
        metadata: from_text(&row.metadata)?,
        created_at: Timestamp(row.created_at),
        updated_at: Timestamp(row.updated_at),
        version_count,
    })
}

impl Tx {
    /// Stores a new plugin and answers its number; the row's own `id` is not looked at.
    ///
    /// # Errors
    /// `PluginExists` when the name is taken.
    pub fn insert_plugin(&mut self, plugin: &PluginRow) -> Result<i64> {
        if self.plugin_named(&plugin.name)?.is_some() {
            return Err(Error::new(Code::PluginExists, format!("A plugin {} is registered.", plugin.name)));
        }
        diesel::insert_into(plugins::table)
            .values((Row::of(plugin)?, plugins::version_count.eq(plugin.version_count)))
            .returning(plugins::id)
            .get_result(&mut self.conn)
            .or_fail()
    }

    /// Stores all fields over those of the row with this number and answers the row as it is now.
    ///
    /// # Errors
    /// `PluginNotFound`.
    pub fn update_plugin(&mut self, plugin: &PluginRow) -> Result<PluginRow> {
        let row = Row::of(plugin)?;
        // A start writes this for each new plugin: it is prepared once.
        let update = prepared!((BigInt, BigInt, Columns) =>
            "UPDATE plugins SET name = ?, display_name = ?, description = ?, version = ?, author = ?, plugin_type = ?, \
             entry_point = ?, install_path = ?, enabled = ?, registered = ?, metadata = ?, created_at = ?, \
             updated_at = ?, version_count = version_count + 1 WHERE id = ? \
             RETURNING id, version_count, name, display_name, description, version, author, plugin_type, entry_point, \
             install_path, enabled, registered, metadata, created_at, updated_at");
        update
            .bind(row.name)
            .bind(row.display_name)
            .bind(row.description)
            .bind(row.version)
            .bind(row.author)
            .bind(row.plugin_type)
            .bind(row.entry_point)
            .bind(row.install_path)
            .bind(row.enabled.map(i64::from))
            .bind(row.registered)
            .bind(row.metadata)
            .bind(row.created_at)
            .bind(row.updated_at)
            .bind(plugin.id)
            .get_result(&mut self.conn)
            .optional()
            .or_fail()?
            .map(plugin_of)
            .unwrap_or_else(|| Err(not_found(plugin.id)))
    }

    /// Stores a plugin under its name, over the one that has it or as a new one; the time of creation of an
    /// old one stays. Answers the row as it is now.
    ///
    /// # Errors
    /// The database's.
    pub fn upsert_plugin(&mut self, plugin: &PluginRow) -> Result<PluginRow> {
        match self.plugin_named(&plugin.name)? {
            Some(old) => {
                self.update_plugin(&PluginRow { id: old.id, created_at: old.created_at, ..plugin.clone() })
            }
            None => {
                let id = self.insert_plugin(plugin)?;
                Ok(PluginRow { id, ..plugin.clone() })
            }
        }
    }

    /// Sets what is wanted over HTTP; none leaves it to the manifest again.
    ///
    /// # Errors
    /// `PluginNotFound`.
    pub fn set_plugin_enabled(&mut self, id: i64, enabled: Option<bool>, now: Timestamp) -> Result<()> {
        let row = plugins::table.find(id);
        let change = (
            plugins::enabled.eq(enabled),
            plugins::updated_at.eq(now.0),
            plugins::version_count.eq(plugins::version_count + 1),
        );
        match diesel::update(row).set(change).execute(&mut self.conn).or_fail()? {
            0 => Err(not_found(id)),
            _ => Ok(()),
        }
    }

    /// Notes whether the plugin is registered, or only a folder on disk.
    ///
    /// # Errors
    /// `PluginNotFound`.
    pub fn set_plugin_registered(&mut self, id: i64, registered: bool, now: Timestamp) -> Result<()> {
        let row = plugins::table.find(id);
        let change = (
            plugins::registered.eq(registered),
            plugins::updated_at.eq(now.0),
            plugins::version_count.eq(plugins::version_count + 1),
        );
        match diesel::update(row).set(change).execute(&mut self.conn).or_fail()? {
            0 => Err(not_found(id)),
            _ => Ok(()),
        }
    }

    /// Removes a plugin's row with its config; false when there was none. Its number is not used again.
    ///
    /// # Errors
    /// The database's.
    pub fn delete_plugin(&mut self, id: i64) -> Result<bool> {
        Ok(diesel::delete(plugins::table.find(id)).execute(&mut self.conn).or_fail()? == 1)
    }
}

impl Reader {
    /// The plugin with this number.
    ///
    /// # Errors
    /// The database's.
    pub fn plugin(&mut self, id: i64) -> Result<Option<PluginRow>> {
        plugins::table
            .find(id)
            .select((plugins::id, plugins::version_count, Row::as_select()))
            .first(&mut self.conn)
            .optional()
            .or_fail()?
            .map(plugin_of)
            .transpose()
    }

    /// The plugin with this name.
    ///
    /// # Errors
    /// The database's.
    pub fn plugin_named(&mut self, name: &str) -> Result<Option<PluginRow>> {
        plugins::table
            .filter(plugins::name.eq(name))
            .select((plugins::id, plugins::version_count, Row::as_select()))
            .first(&mut self.conn)
            .optional()
            .or_fail()?
            .map(plugin_of)
            .transpose()
    }

    /// All plugins by name, unregistered ones too.
    ///
    /// # Errors
    /// The database's.
    pub fn list_plugins(&mut self) -> Result<Vec<PluginRow>> {
        let rows: Vec<(i64, i64, Row)> = plugins::table
            .order(plugins::name)
            .select((plugins::id, plugins::version_count, Row::as_select()))
            .load(&mut self.conn)
            .or_fail()?;
        rows.into_iter().map(plugin_of).collect()
    }
}

fn not_found(id: i64) -> Error {
    Error::new(Code::PluginNotFound, format!("There is no plugin {id}."))
}
