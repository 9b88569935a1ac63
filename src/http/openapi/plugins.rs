//! The routes of running plugins, as the document shows them beside the server's own.

use serde_json::{Value, json};

use crate::hooks::RouteOffer;

/// Adds the routes of `plugin` to a document.
pub fn add(document: &mut Value, plugin: &str, routes: &[RouteOffer]) {
    let tag = format!("plugin {plugin}");
    for route in routes {
        let method = route.method.to_ascii_lowercase();
        let path = format!("/api/v1/plugins/{plugin}/x{}", route.pattern.replace("*}", "}"));
        let parameters: Vec<Value> = route
            .path
            .names()
            .map(|name| {
                json!({ "name": name, "in": "path", "required": true, "description": "A part of the path.", "schema": { "type": "string" } })
            })
            .collect();
        let scope = if method == "get" { "plugins:read" } else { "plugins:manage" };
        let summary = route.summary.clone().unwrap_or_else(|| format!("A route of the plugin {plugin}."));
        let problem = json!({
            "description": "Any error, as a problem document.",
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
        });
        let mut operation = json!({
            "operationId": format!("{}_{method}_{}", plugin.replace('-', "_"), route.path.words()),
            "tags": [tag],
            "summary": summary,
            "description": format!("{summary} Needs a key with the scope `{scope}`."),
            "parameters": parameters,
            "security": [{ "apiKey": [] }, { "bearer": [] }],
            "responses": { "200": { "description": "What the plugin answers.", "content": super::any_bytes("application/octet-stream") }, "default": problem },
        });
        if method != "get" {
            operation["requestBody"] = json!({ "required": false, "description": "What the plugin takes.", "content": super::any_body() });
        }
        document["paths"][path][method] = operation;
    }
    if let Some(tags) = document["tags"].as_array_mut() {
        tags.push(json!({ "name": tag, "description": format!("Routes of the plugin {plugin}.") }));
    }
}
