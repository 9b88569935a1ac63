//! Plugins, what they offer and what they may do; hooks and schedules.

use crate::error::Code::*;
use crate::model::schedule::ScheduleRun;
use crate::plugins::lua_api::LuaApi;
use crate::plugins::manager::{
    ConfigChanged, ConfigCheck, ConfigSchema, DependencyView, GrantsView, ScheduleView,
};
use crate::plugins::{ConfigItem, MigrationView, PluginStatus, PluginView, Rescan};

use crate::http::openapi::bodies::*;
use crate::http::openapi::schema::{items, of, page};
use crate::http::query::PAGING;
use crate::http::route::Gives::{Json, Media, Nothing};
use crate::http::route::Takes::{self};
use crate::http::route::{Route, delete, get, patch, post, put};
use crate::http::{
    assets, grants, hooks, lua_api, plugin_config, plugin_database, plugin_routes, plugins, schedules,
};

use super::fails::CONFIG_FAULTS;
use super::{DIGEST, IF_MATCH, IF_NONE, ONCE, WANTS};

#[rustfmt::skip] // a route a paragraph
pub(super) fn routes() -> Vec<Route> {
    vec![
        get("/api/v1/plugins", "listPlugins", plugins::list, "Lists plugins by name.")
            .query(PAGING).query(plugins::FILTERS).headers(IF_NONE).gives(200, Json(page::<PluginView>)),
        post("/api/v1/plugins", "registerPlugin", plugins::register, "Registers a plugin folder; it is loaded when it is meant to run.")
            .takes(Takes::Json(plugin_create)).headers(ONCE).gives(201, Json(of::<PluginView>)).fails(&[PluginExists, NoSuchFolder]),
        post("/api/v1/plugins/rescan", "rescanPlugins", plugins::rescan, "Looks through the plugin folders again: new plugins are loaded, edited ones replaced, failed ones tried again, gone ones stopped.")
            .gives(200, Json(of::<Rescan>)),
        get("/api/v1/plugins/{id}", "getPlugin", plugins::get, "Gives a plugin by its number or name.")
            .headers(IF_NONE).gives(200, Json(of::<PluginView>)).gives(304, Nothing).fails(&[PluginNotFound]),
        patch("/api/v1/plugins/{id}", "updatePlugin", plugins::patch, "Changes what is said of a plugin (a merge patch); enabled starts or stops it.")
            .takes(Takes::Json(plugin_change)).headers(IF_MATCH).gives(200, Json(of::<PluginView>)).fails(&[PluginNotFound, Conflict, PluginLoadFailed]),
        put("/api/v1/plugins/{id}", "replacePlugin", plugins::patch, "The same as PATCH: what is not sent stays.")
            .takes(Takes::Json(plugin_change)).headers(IF_MATCH).gives(200, Json(of::<PluginView>)).fails(&[PluginNotFound, Conflict, PluginLoadFailed]),
        delete("/api/v1/plugins/{id}", "deletePlugin", plugins::delete, "Stops a plugin and forgets its row, config and grants; the folder stays and shows as discovered until POST /api/v1/plugins registers it again.")
            .query(plugins::PURGE).headers(IF_MATCH).gives(204, Nothing).fails(&[PluginNotFound]),
        post("/api/v1/plugins/{id}/enable", "enablePlugin", plugins::enable, "Lets a plugin run, now and after a restart.")
            .gives(200, Json(of::<PluginView>)).fails(&[PluginNotFound, Conflict, PluginLoadFailed]),
        post("/api/v1/plugins/{id}/disable", "disablePlugin", plugins::disable, "Stops a plugin, now and after a restart.")
            .gives(200, Json(of::<PluginView>)).fails(&[PluginNotFound, Conflict]),
        get("/api/v1/plugins/{id}/status", "getPluginStatus", plugins::status, "Tells everything about a plugin at this moment.")
            .gives(200, Json(of::<PluginStatus>)).fails(&[PluginNotFound]),
        post("/api/v1/plugins/{id}/breaker/reset", "resetPluginBreaker", plugins::reset_breaker, "Lets a plugin be called again that was left alone.")
            .gives(200, Json(of::<PluginStatus>)).fails(&[PluginNotFound]),
        get("/api/v1/plugins/{id}/x/{path:.*}", "getPluginRoute", plugin_routes::read, "Is answered by a route of a plugin.")
            .any_query().gives(200, Media).fails(&[PluginNotFound, NotFound, MethodNotAllowed, HookDenied, PluginFailed, PluginUnavailable, PluginTimeout]),
        post("/api/v1/plugins/{id}/x/{path:.*}", "postPluginRoute", plugin_routes::change, "Is answered by a route of a plugin.")
            .any_query().takes(Takes::Anything).gives(200, Media).fails(&[PluginNotFound, NotFound, MethodNotAllowed, HookDenied, PluginFailed, PluginUnavailable, PluginTimeout]),
        put("/api/v1/plugins/{id}/x/{path:.*}", "putPluginRoute", plugin_routes::change, "Is answered by a route of a plugin.")
            .any_query().takes(Takes::Anything).gives(200, Media).fails(&[PluginNotFound, NotFound, MethodNotAllowed, HookDenied, PluginFailed, PluginUnavailable, PluginTimeout]),
        patch("/api/v1/plugins/{id}/x/{path:.*}", "patchPluginRoute", plugin_routes::change, "Is answered by a route of a plugin.")
            .any_query().takes(Takes::Anything).gives(200, Media).fails(&[PluginNotFound, NotFound, MethodNotAllowed, HookDenied, PluginFailed, PluginUnavailable, PluginTimeout]),
        delete("/api/v1/plugins/{id}/x/{path:.*}", "deletePluginRoute", plugin_routes::change, "Is answered by a route of a plugin.")
            .any_query().takes(Takes::Anything).gives(200, Media).fails(&[PluginNotFound, NotFound, MethodNotAllowed, HookDenied, PluginFailed, PluginUnavailable, PluginTimeout]),
        get("/api/v1/plugins/{id}/assets", "listPluginAssets", assets::list, "Lists what a plugin keeps for clients, by name.")
            .query(assets::PAGE).gives(200, Json(items::<assets::AssetItem>)).fails(&[PluginNotFound]),
        get("/api/v1/plugins/{id}/assets/{name}", "getPluginAsset", assets::get, "Gives the bytes of an asset.")
            .headers(IF_NONE).headers(WANTS).tells(DIGEST).gives(200, Media).gives(304, Nothing).fails(&[PluginNotFound, NotFound]),
        delete("/api/v1/plugins/{id}/assets/{name}", "deletePluginAsset", assets::delete, "Removes an asset.")
            .gives(204, Nothing).fails(&[PluginNotFound, NotFound]),
        get("/api/v1/plugins/{id}/dependencies", "listPluginDependencies", plugins::dependencies, "Tells what a plugin needs, and whether it has it.")
            .gives(200, Json(items::<DependencyView>)).fails(&[PluginNotFound]),
        get("/api/v1/plugins/{id}/dependents", "listPluginDependents", plugins::dependents, "Tells which plugins need this one: they stop before it and reload after it.")
            .gives(200, Json(items::<DependencyView>)).fails(&[PluginNotFound]),
        get("/api/v1/plugins/{id}/grants", "getPluginGrants", grants::get, "Tells what a plugin asks for, what it has and what waits.")
            .headers(IF_NONE).gives(200, Json(of::<GrantsView>)).fails(&[PluginNotFound]),
        put("/api/v1/plugins/{id}/grants", "replacePluginGrants", grants::put, "Grants a plugin permissions in place of those it was granted; in force when this is answered.")
            .takes(Takes::Json(grants_change)).gives(200, Json(of::<GrantsView>)).fails(&[PluginNotFound, Conflict, PluginLoadFailed]),
        post("/api/v1/plugins/{id}/grants", "grantPlugin", grants::put, "The same as PUT; {\"all\": true} grants everything the manifest asks for.")
            .takes(Takes::Json(grants_change)).gives(200, Json(of::<GrantsView>)).fails(&[PluginNotFound, Conflict, PluginLoadFailed]),
        delete("/api/v1/plugins/{id}/grants", "revokePluginGrants", grants::delete, "Takes back everything a plugin was granted; in force when this is answered.")
            .gives(200, Json(of::<GrantsView>)).fails(&[PluginNotFound, Conflict, PluginLoadFailed]),
        get("/api/v1/plugins/{id}/config", "listPluginConfig", plugin_config::list, "Gives every value of a plugin's config with its source; secrets are not shown.")
            .headers(IF_NONE).gives(200, Json(items::<ConfigItem>)).fails(&[PluginNotFound]),
        post("/api/v1/plugins/{id}/config", "createPluginConfig", plugin_config::create, "Stores a value under a new key; the running plugin has taken it when this is answered, or nothing has changed.")
            .takes(Takes::Json(config_create)).headers(ONCE).gives(201, Json(of::<ConfigItem>)).fails(CONFIG_FAULTS),
        patch("/api/v1/plugins/{id}/config", "changePluginConfig", plugin_config::patch, "Changes several values in one step: all of them are checked, taken by the running plugin and stored, or none.")
            .takes(Takes::Json(config_patch)).gives(200, Json(of::<ConfigChanged>)).fails(CONFIG_FAULTS),
        get("/api/v1/plugins/{id}/config/schema", "getPluginConfigSchema", plugin_config::schema, "Gives what a plugin's config may be, and every key with what is said of it; secret values are left out.")
            .headers(IF_NONE).gives(200, Json(of::<ConfigSchema>)).fails(&[PluginNotFound]),
        post("/api/v1/plugins/{id}/config/validate", "validatePluginConfig", plugin_config::validate, "Tells every fault that the config would have after a change, and what would be in force; changes nothing, and does not ask the plugin. Without a body: the config as it is.")
            .takes(Takes::JsonOrNothing(config_patch)).gives(200, Json(of::<ConfigCheck>)).fails(&[PluginNotFound]),
        put("/api/v1/plugins/{id}/config/{config_id}", "updatePluginConfig", plugin_config::update, "Changes a stored value; the running plugin has taken it when this is answered, or nothing has changed.")
            .takes(Takes::Json(config_change)).gives(200, Json(of::<ConfigItem>)).fails(CONFIG_FAULTS),
        delete("/api/v1/plugins/{id}/config/{config_id}", "deletePluginConfig", plugin_config::delete, "Drops a stored value: the manifest's or the schema's counts again.")
            .gives(204, Nothing).fails(CONFIG_FAULTS),

        get("/api/v1/plugins/{id}/migrations", "listPluginMigrations", plugin_database::list, "Gives the migrations of a plugin's own database, and which are applied.")
            .headers(IF_NONE).gives(200, Json(items::<MigrationView>)).fails(&[PluginNotFound, MigrationFailed]),
        post("/api/v1/plugins/{id}/migrations/rollback", "rollBackPluginMigrations", plugin_database::roll_back, "Takes back the migrations after a number, the last one first; the plugin must not run.")
            .takes(Takes::Json(migration_rollback)).gives(200, Json(items::<MigrationView>)).fails(&[PluginNotFound, Conflict, MigrationFailed]),

        get("/api/v1/hooks", "listHooks", hooks::list, "Gives every hook with its effective chain.")
            .headers(IF_NONE).gives(200, Json(items::<hooks::HookChain>)),
        get("/api/v1/hooks/{hook}", "getHook", hooks::get, "Gives the effective chain of a hook, and why it is in that order.")
            .headers(IF_NONE).gives(200, Json(of::<hooks::HookChain>)).fails(&[HookNotFound]),

        get("/api/v1/lua-api", "getLuaApi", lua_api::get, "Gives everything that scripts find below `panotti`: modules, functions with signature, permission and example, hooks, types.")
            .headers(IF_NONE).gives(200, Json(of::<LuaApi>)),

        get("/api/v1/schedules", "listSchedules", schedules::list, "Lists what plugins are called for again and again.")
            .query(schedules::FILTERS).gives(200, Json(items::<ScheduleView>)),
        get("/api/v1/schedules/{id}", "getSchedule", schedules::get, "Gives a schedule with its last 100 runs.")
            .gives(200, Json(of::<ScheduleView>)).fails(&[ScheduleNotFound]),
        patch("/api/v1/schedules/{id}", "pauseSchedule", schedules::patch, "Holds a schedule, or lets it go on from now.")
            .takes(Takes::Json(schedule_change)).gives(200, Json(of::<ScheduleView>)).fails(&[ScheduleNotFound]),
        post("/api/v1/schedules/{id}/run", "runSchedule", schedules::run, "Runs a schedule now; answers when the run has begun.")
            .gives(202, Json(of::<ScheduleRun>)).fails(&[ScheduleNotFound, PluginNotRunning]),
    ]
}
