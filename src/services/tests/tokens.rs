//! Keys: rules 7.

use serde_json::json;

use super::rig::{Rig, body};
use crate::error::Code;
use crate::model::token::Scope;
use crate::services::{audit, tokens};

#[tokio::test]
async fn a_key_opens_until_it_is_revoked_and_only_as_it_was_told() {
    let rig = Rig::new();
    let sent = body(json!({"name": "phone", "scopes": ["clips:read", "clips:read"]}));
    let made = tokens::create(&rig.services, "server", sent).await.unwrap();
    let known = tokens::authenticate(&rig.services, &made.key).unwrap();
    assert!(known.allows(Scope::ClipsRead) && !known.allows(Scope::ClipsWrite));
    let changed = made.key.replace("pnt_", "PNT_");
    let shorter = &made.key[..made.key.len() - 1];
    let upper = made.key.to_uppercase();
    let unknown = format!("pnt_000000000000_{}", &made.key[17..]);
    for wrong in ["", "pnt_", changed.as_str(), shorter, &upper, &unknown, "pnt__", "pnt_a_ö"] {
        assert_eq!(tokens::authenticate(&rig.services, wrong).unwrap_err().code, Code::KeyInvalid, "{wrong}");
    }
    tokens::revoke(&rig.services, "server", &made.token.id, false).await.unwrap();
    assert!(tokens::authenticate(&rig.services, &made.key).is_err());
    let unknown = tokens::revoke(&rig.services, "server", "nobody", false).await.unwrap_err();
    assert_eq!(unknown.code, Code::TokenNotFound);
    let acts: Vec<_> = audit::list(&rig.services, audit::Wanted::default(), 10).await.unwrap();
    let acts: Vec<_> = acts.iter().map(|it| it.action.as_str()).collect();
    assert_eq!(acts, ["token.revoke", "token.create"]);
    let listed = serde_json::to_string(&tokens::list(&rig.services).await.unwrap()).unwrap();
    assert!(!listed.contains(&made.key[17..]));
}

#[tokio::test]
async fn a_key_stops_working_when_its_time_is_over() {
    let rig = Rig::new();
    let sent = body(json!({"name": "day", "scopes": ["admin"], "expires_at": "2025-01-26T10:00:00Z"}));
    let made = tokens::create(&rig.services, "server", sent).await.unwrap();
    assert!(tokens::authenticate(&rig.services, &made.key).is_ok());
    rig.clock.advance_us(86_400_000_000);
    assert!(tokens::authenticate(&rig.services, &made.key).is_err());
    let past = body(json!({"name": "x", "scopes": ["admin"], "expires_at": "2020-01-01T00:00:00Z"}));
    assert!(tokens::create(&rig.services, "server", past).await.is_err());
}

#[tokio::test]
async fn a_new_key_says_what_it_allows() {
    let rig = Rig::new();
    let wrong = body(json!({"scopes": ["clips:write", "root"]}));
    let error = tokens::create(&rig.services, "server", wrong).await.unwrap_err();
    let pointers: Vec<_> = error.errors.iter().map(|it| it.pointer.as_str()).collect();
    assert_eq!(pointers, ["/name", "/scopes/1"]);
    for scope in Scope::ALL {
        let sent = body(json!({"name": "x", "scopes": [scope.name()]}));
        assert_eq!(tokens::create(&rig.services, "s", sent).await.unwrap().token.scopes, [*scope]);
    }
}

#[tokio::test]
async fn the_first_start_writes_a_key_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let rig = Rig::new();
    let path = rig.folder.path().join("admin.token");
    assert!(tokens::ensure_admin_token(&rig.services, &path).await.unwrap().created);
    let key = std::fs::read_to_string(&path).unwrap();
    assert!(tokens::authenticate(&rig.services, key.trim()).unwrap().allows(Scope::TokensManage));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!tokens::ensure_admin_token(&rig.services, &path).await.unwrap().created);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), key);
}
