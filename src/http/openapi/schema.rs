//! Schemas of the document: types by derive, the rest written out.

use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// `#/components/schemas` as it grows.
#[derive(Default)]
pub struct Components(pub Map<String, Value>);

/// Registers what it needs and gives the schema, usually a reference.
pub type SchemaFn = fn(&mut Components) -> Value;

impl Components {
    /// Keeps a schema under a name and gives the reference to it.
    pub fn named(&mut self, name: &str, schema: impl FnOnce(&mut Self) -> Value) -> Value {
        if !self.0.contains_key(name) {
            self.0.insert(name.to_owned(), Value::Null);
            let schema = schema(self);
            self.0.insert(name.to_owned(), schema);
        }
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }
}

/// The schema of a type.
pub fn of<T: ToSchema>(components: &mut Components) -> Value {
    let mut needed = Vec::new();
    T::schemas(&mut needed);
    for (name, schema) in needed {
        components.named(&name, |_| written(&schema));
    }
    components.named(&T::name(), |_| written(&T::schema()))
}

/// The schema of a list under `items`, without pages.
pub fn items<T: ToSchema>(components: &mut Components) -> Value {
    let item = of::<T>(components);
    let name = format!("{}Items", T::name());
    components.named(&name, |_| {
        json!({
            "type": "object", "required": ["items"],
            "properties": { "items": { "type": "array", "items": item } },
        })
    })
}

/// The schema of one page of a list.
pub fn page<T: ToSchema>(components: &mut Components) -> Value {
    let item = of::<T>(components);
    components.named(&format!("{}Page", T::name()), |_| page_of(item))
}

/// One page of items of a schema.
pub fn page_of(item: Value) -> Value {
    let whole = |doc: &str| json!({ "type": "integer", "format": "int64", "description": doc });
    json!({
        "type": "object",
        "required": ["items", "total", "page", "page_size", "total_pages"],
        "properties": {
            "items": { "type": "array", "items": item },
            "total": whole("Rows in all, or counted so far when `total_is_more`."),
            "total_is_more": { "type": "boolean", "description": "There are more than `total` rows." },
            "page": whole("This page, counted from 1."),
            "page_size": whole("Rows a page."),
            "total_pages": whole("Pages in all."),
        },
    })
}

/// Any JSON object.
pub fn object(_: &mut Components) -> Value {
    json!({ "type": "object" })
}

/// The problem document (RFC 9457).
pub fn problem(components: &mut Components) -> Value {
    components.named("Problem", |_| {
        let text = |doc: &str| json!({ "type": "string", "description": doc });
        json!({
            "type": "object",
            "description": "What went wrong (RFC 9457). Some codes add members of their own.",
            "required": ["type", "title", "status", "detail", "instance", "code", "hint", "request_id"],
            "properties": {
                "type": text("A URI that names the kind of problem."),
                "title": text("The same for every occurrence of the code."),
                "status": { "type": "integer", "description": "The HTTP status." },
                "detail": text("This very occurrence, in a sentence."),
                "instance": text("The path that was asked for."),
                "code": text("Stable; match on this one."),
                "hint": text("What to do about it."),
                "request_id": text("Find the request in the log by it."),
                "errors": {
                    "type": "array",
                    "description": "Every fault of a body or query (pointer, message), or the fault of a script (file, line, column, message, excerpt).",
                    "items": {
                        "type": "object",
                        "required": ["message"],
                        "properties": {
                            "pointer": text("JSON pointer into the body, or the name of a parameter."),
                            "message": text("What is wrong and what is accepted."),
                            "file": text("The script."),
                            "line": { "type": ["integer", "null"] },
                            "column": { "type": ["integer", "null"] },
                            "excerpt": { "type": ["string", "null"], "description": "The lines around the fault." },
                        },
                    },
                },
            },
        })
    })
}

fn written(schema: &impl serde::Serialize) -> Value {
    serde_json::to_value(schema).unwrap_or_else(|_| json!({}))
}
