//! The document is whole: what generators of clients trip over is looked for here.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::super::routes;
use super::schema::Components;
use super::{document, open_path, operation};

fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(|(method, it)| (path.clone(), method.clone(), it))
    });
    all.collect()
}

/// Every reference in a document.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str));
            map.values().for_each(|it| references(it, found));
        }
        Value::Array(items) => items.iter().for_each(|it| references(it, found)),
        _ => {}
    }
}

#[test]
fn routes_and_document_are_the_same() {
    let document = document(&routes());
    let told: HashSet<(String, String)> =
        operations(&document).into_iter().map(|(path, method, _)| (path, method)).collect();
    let served: HashSet<(String, String)> =
        routes().iter().map(|it| (open_path(it.path), it.method.as_str().to_ascii_lowercase())).collect();
    assert_eq!(told, served);
    assert_eq!(served.len(), routes().len(), "two routes are the same");
}

#[test]
fn every_operation_has_its_own_name_and_says_what_it_does() {
    let document = document(&routes());
    let mut names = HashSet::new();
    for (path, method, operation) in operations(&document) {
        let name = operation["operationId"].as_str().unwrap();
        assert!(names.insert(name.to_owned()), "{name} twice");
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "{name}");
        for text in ["summary", "description"] {
            assert!(operation[text].as_str().is_some_and(|it| it.len() > 10), "{method} {path}: {text}");
        }
    }
}

#[test]
fn every_response_has_a_description_and_a_schema_unless_it_is_empty() {
    let document = document(&routes());
    for (path, method, operation) in operations(&document) {
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|it| it.starts_with('2')), "{method} {path}");
        for (status, response) in responses {
            let at = format!("{method} {path} {status}");
            assert!(response["description"].as_str().is_some_and(|it| !it.is_empty()), "{at}");
            if matches!(status.as_str(), "204" | "304") {
                assert!(response.get("content").is_none(), "{at}");
                continue;
            }
            let content = response["content"].as_object().unwrap_or_else(|| panic!("{at}"));
            assert!(content.values().all(|it| it["schema"].is_object()), "{at}");
            if status.starts_with('4') || status.starts_with('5') {
                assert!(content.contains_key("application/problem+json"), "{at}");
            }
        }
    }
}

#[test]
fn every_body_that_is_taken_has_a_schema() {
    let document = document(&routes());
    for (path, method, operation) in operations(&document) {
        for (kind, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
            assert!(content["schema"].is_object(), "{method} {path} {kind}: generators leave it out");
        }
    }
}

#[test]
fn a_schema_is_the_same_wherever_its_name_stands() {
    let mut known: HashMap<String, (Value, &str)> = HashMap::new();
    for route in routes() {
        let mut own = Components::default();
        operation(&route, &mut own);
        for (name, schema) in own.0 {
            let (first, at) = known.entry(name.clone()).or_insert((schema.clone(), route.operation));
            assert_eq!(*first, schema, "{name} is another one for {} than for {at}", route.operation);
        }
    }
}

#[test]
fn nothing_is_described_so_that_generators_leave_the_route_out() {
    let document = document(&routes());
    for (path, method, operation) in operations(&document) {
        let responses = operation["responses"].as_object().unwrap();
        let bodies = responses.values().chain([&operation["requestBody"]]);
        // They take the first kind that they know.
        for kind in bodies.filter_map(|it| it["content"].as_object()).filter_map(|it| it.keys().next()) {
            assert!(!kind.contains('*'), "{method} {path}: {kind}");
        }
        assert!(method == "get" || !responses.contains_key("304"), "{method} {path}: 304");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document(&routes());
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 20);
    for reference in found {
        let schema = document.pointer(reference.trim_start_matches('#'));
        assert!(schema.is_some_and(Value::is_object), "{reference}");
    }
}

#[test]
fn path_parameters_are_those_of_the_path_and_required() {
    let document = document(&routes());
    for (path, method, operation) in operations(&document) {
        let in_path: HashSet<&str> =
            path.split('{').skip(1).map(|it| it.split('}').next().unwrap()).collect();
        let parameters = operation["parameters"].as_array().unwrap();
        let told: Vec<&Value> = parameters.iter().filter(|it| it["in"] == "path").collect();
        assert!(told.iter().all(|it| it["required"] == true), "{method} {path}");
        let told: HashSet<&str> = told.iter().map(|it| it["name"].as_str().unwrap()).collect();
        assert_eq!(told, in_path, "{method} {path}");
        for parameter in parameters {
            assert!(
                parameter["description"].as_str().is_some_and(|it| !it.is_empty())
                    && parameter["schema"].is_object(),
                "{method} {path}"
            );
        }
    }
}

#[test]
fn an_id_is_described_as_that_of_its_noun() {
    let document = document(&routes());
    for (path, method, operation) in operations(&document) {
        let noun = path.split('/').nth(3).unwrap_or_default().trim_end_matches('s');
        let noun = if noun == "token" { "key" } else { noun };
        for it in operation["parameters"].as_array().unwrap().iter().filter(|it| it["name"] == "id") {
            let told = it["description"].as_str().unwrap();
            assert!(told.starts_with(&format!("The {noun}'s ")), "{method} {path}: {told}");
        }
    }
}

#[test]
fn only_written_out_routes_are_open() {
    let open: Vec<&str> = routes().iter().filter(|it| it.scope.is_none()).map(|it| it.path).collect();
    let expected = [
        "/api/v1/uploads",
        "/healthz",
        "/readyz",
        "/api/openapi.json",
        "/api/docs",
        "/api/docs/{file}",
        "/health",
    ];
    assert_eq!(open, expected);
}

#[test]
fn every_schema_of_the_document_is_a_schema() {
    let document = document(&routes());
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(jsonschema::meta::is_valid(schema), "{name}: {schema}");
    }
}
