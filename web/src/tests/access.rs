//! Who may use which route; odd spellings of paths; credentials in the wrong place.

use logwarden_store::identity::{Object, Principal, PrincipalKind, Role, authorize};

use super::harness::Harness;
use crate::route::Permission;

/// A path of the document with something in place of its parameters.
fn concrete(path: &str) -> String {
    path.replace("{id}", "01ABC").replace("{name}", "nobody").replace("{token}", "none")
}

/// The table of the API, written down a second time: method, path, who may.
const TABLE: &str = "
    GET    /api/v1/session                      ingest reader analyst admin metrics
    POST   /api/v1/session                      open
    DELETE /api/v1/session                      ingest reader analyst admin metrics
    GET    /api/v1/oidc                         open
    GET    /api/v1/oidc/{name}/begin            open
    GET    /api/v1/oidc/{name}/callback         open
    GET    /api/v1/me/settings                  ingest reader analyst admin metrics
    PUT    /api/v1/me/settings                  ingest reader analyst admin metrics
    PUT    /api/v1/me/password                  ingest reader analyst admin metrics
    GET    /api/v1/me/second-factor             ingest reader analyst admin metrics
    POST   /api/v1/me/second-factor             ingest reader analyst admin metrics
    PUT    /api/v1/me/second-factor             ingest reader analyst admin metrics
    DELETE /api/v1/me/second-factor             ingest reader analyst admin metrics
    GET    /api/v1/sessions                     ingest reader analyst admin metrics
    GET    /api/v1/sessions/{id}                ingest reader analyst admin metrics
    DELETE /api/v1/sessions/{id}                ingest reader analyst admin metrics
    POST   /api/v1/session/challenge            open
    POST   /api/v1/session/passkey              open
    GET    /api/v1/me/passkeys                  ingest reader analyst admin metrics
    POST   /api/v1/me/passkeys/challenge        ingest reader analyst admin metrics
    POST   /api/v1/me/passkeys                  ingest reader analyst admin metrics
    DELETE /api/v1/me/passkeys/{id}             ingest reader analyst admin metrics
    GET    /api/v1/setup                        open
    POST   /api/v1/setup                        open
    GET    /api/v1/search                       reader analyst admin
    POST   /api/v1/search                       reader analyst admin
    GET    /api/v1/search/check                 reader analyst admin
    GET    /api/v1/histogram                    reader analyst admin
    GET    /api/v1/facets                       reader analyst admin
    GET    /api/v1/fields                       reader analyst admin
    GET    /api/v1/fields/{name}/values         reader analyst admin
    GET    /api/v1/events/{id}                  reader analyst admin
    GET    /api/v1/events/{id}/context          reader analyst admin
    GET    /api/v1/tail                         reader analyst admin
    POST   /api/v1/export                       reader analyst admin
    GET    /api/v1/exports                      reader analyst admin
    POST   /api/v1/exports                      reader analyst admin
    GET    /api/v1/exports/{id}                 reader analyst admin
    DELETE /api/v1/exports/{id}                 reader analyst admin
    GET    /api/v1/exports/{id}/file            reader analyst admin
    GET    /api/v1/exports/{id}/header          reader analyst admin
    GET    /api/v1/alerts                       reader analyst admin
    GET    /api/v1/alerts/assignees             analyst admin
    GET    /api/v1/alerts/latency               reader analyst admin
    GET    /api/v1/alerts/{id}                  reader analyst admin
    POST   /api/v1/alerts/{id}/acknowledge      analyst admin
    POST   /api/v1/alerts/{id}/assign           analyst admin
    POST   /api/v1/alerts/{id}/resolve          analyst admin
    POST   /api/v1/alerts/{id}/reopen           analyst admin
    POST   /api/v1/alerts/{id}/notes            analyst admin
    GET    /a/{token}                           open
    POST   /a/{token}                           open
    GET    /api/v1/rules                        reader analyst admin
    POST   /api/v1/rules                        analyst admin
    POST   /api/v1/rules/check                  reader analyst admin
    POST   /api/v1/rules/test                   reader analyst admin
    GET    /api/v1/rules/{id}                   reader analyst admin
    PUT    /api/v1/rules/{id}                   analyst admin
    DELETE /api/v1/rules/{id}                   analyst admin
    POST   /api/v1/rules/import                 analyst admin
    POST   /api/v1/rules/backtest               reader analyst admin
    GET    /api/v1/rules/coverage               reader analyst admin
    GET    /api/v1/notifiers                    analyst admin
    POST   /api/v1/notifiers                    admin
    GET    /api/v1/notifiers/{id}               admin
    PUT    /api/v1/notifiers/{id}               admin
    DELETE /api/v1/notifiers/{id}               admin
    GET    /api/v1/notifiers/{id}/test          admin
    POST   /api/v1/notifiers/{id}/test          admin
    GET    /api/v1/deliveries                   analyst admin
    GET    /api/v1/deliveries/{id}              analyst admin
    POST   /api/v1/deliveries/{id}/send         admin
    GET    /api/v1/routes                       analyst admin
    PUT    /api/v1/routes                       admin
    POST   /api/v1/routes/ask                   analyst admin
    GET    /api/v1/rotas                        analyst admin
    PUT    /api/v1/rotas                        admin
    GET    /api/v1/silences                     reader analyst admin
    POST   /api/v1/silences                     analyst admin
    POST   /api/v1/silences/preview             reader analyst admin
    GET    /api/v1/silences/{id}                reader analyst admin
    PUT    /api/v1/silences/{id}                analyst admin
    DELETE /api/v1/silences/{id}                analyst admin
    GET    /api/v1/saved-searches               reader analyst admin
    POST   /api/v1/saved-searches               analyst admin
    GET    /api/v1/saved-searches/{id}          reader analyst admin
    PUT    /api/v1/saved-searches/{id}          analyst admin
    DELETE /api/v1/saved-searches/{id}          analyst admin
    GET    /api/v1/dashboards                   reader analyst admin
    POST   /api/v1/dashboards                   analyst admin
    GET    /api/v1/dashboards/{id}              reader analyst admin
    PUT    /api/v1/dashboards/{id}              analyst admin
    DELETE /api/v1/dashboards/{id}              analyst admin
    GET    /api/v1/sources                      reader analyst admin
    POST   /api/v1/sources                      admin
    GET    /api/v1/sources/{name}               reader analyst admin
    GET    /api/v1/deadletters                  admin
    POST   /api/v1/deadletters/replay           admin
    GET    /api/v1/audit                        admin
    GET    /api/v1/retention                    admin
    PUT    /api/v1/retention                    admin
    POST   /api/v1/retention/confirm            admin
    GET    /api/v1/tokens                       admin
    POST   /api/v1/tokens                       admin
    GET    /api/v1/tokens/{name}                admin
    DELETE /api/v1/tokens/{name}                admin
    GET    /api/v1/users                        admin
    POST   /api/v1/users                        admin
    GET    /api/v1/users/{name}                 admin
    PUT    /api/v1/users/{name}                 admin
    DELETE /api/v1/users/{name}                 admin
    DELETE /api/v1/users/{name}/second-factor   admin
    GET    /api/v1/roles                        admin
    GET    /api/v1/config                       admin
    GET    /api/v1/health                       open
    POST   /api/v1/health/acknowledge-damage    admin
    GET    /livez                               open
    GET    /readyz                              open
    GET    /metrics                             admin metrics
    GET    /.well-known/security.txt            open
    GET    /api/v1/openapi.json                 ingest reader analyst admin metrics
";

fn may(role: Role, permission: Permission) -> bool {
    let principal = Principal::unbound("somebody", PrincipalKind::Token, role);
    match permission {
        Permission::Open | Permission::AnyCredential => true,
        Permission::May(action) => authorize(&principal, action, &Object::Any).is_ok(),
    }
}

#[test]
fn every_route_stands_in_the_table() {
    let declared = crate::api::routes().declared();
    let written: Vec<String> = declared
        .iter()
        .map(|(method, path, permission)| {
            let who = match permission {
                Permission::Open => "open".to_owned(),
                permission => {
                    let roles = Role::ALL.into_iter().filter(|role| may(*role, *permission));
                    roles.map(Role::as_str).collect::<Vec<_>>().join(" ")
                }
            };
            format!("{method} {path} {who}")
        })
        .collect();
    let table = TABLE.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let table: Vec<String> = table.filter(|line| !line.is_empty()).collect();
    assert_eq!(written, table);
}

#[tokio::test]
async fn every_route_answers_each_role_as_declared() {
    let harness = Harness::new().await;
    let mut tokens = Vec::new();
    for role in Role::ALL {
        tokens.push((role, harness.token(role).await));
    }
    for (method, path, permission) in crate::api::routes().declared() {
        let (method, path) = (method.as_str(), concrete(&path));
        let anonymous = harness.call(method, &path, None, "").await;
        let is_open = permission == Permission::Open;
        assert_eq!(
            anonymous.status == 401 && anonymous.code() == "unauthorized",
            !is_open,
            "{method} {path}"
        );
        for (role, token) in &tokens {
            // A tail that is let in has no end.
            let answer = match path.as_str() {
                "/api/v1/tail" => harness.head(method, &path, Some(token)).await,
                path => harness.call(method, path, Some(token), "").await,
            };
            let is_denied = answer.status == 403 && answer.code() == "forbidden";
            assert_eq!(is_denied, !may(*role, permission), "{role}: {method} {path}");
            assert_ne!(answer.status, 401, "{role}: {method} {path}");
        }
    }
}

/// Spellings of a path that some servers and proxies take for it.
fn odd_spellings(path: &str) -> Vec<String> {
    let tail = path.trim_start_matches('/');
    let last = path.rsplit('/').next().unwrap_or_default();
    let escaped = format!("%{:02x}{}", tail.as_bytes()[0], &tail[1..]);
    let odd = [
        format!("/{path}"),
        format!("{path}/"),
        format!("{path}//"),
        format!("{path}/."),
        format!("{path}/.."),
        format!("{path};a=b"),
        format!("{path}%2f"),
        format!("{path}%00"),
        format!("{path}.json"),
        format!("/./{tail}"),
        format!("/x/../{tail}"),
        format!("/{escaped}"),
        path.to_uppercase(),
        path.replace('/', "%2f").replacen("%2f", "/", 1),
        path.replace(last, &format!(":{last}")),
        path.replace('/', "\\").replacen('\\', "/", 1),
    ];
    odd.into_iter().filter(|odd| odd != path).collect()
}

#[tokio::test]
async fn a_path_spelled_oddly_succeeds_for_nobody() {
    let harness = Harness::new().await;
    let mut everybody = vec![None];
    for role in Role::ALL {
        everybody.push(Some(harness.token(role).await));
    }
    let (mut asked, declared) = (0, crate::api::routes().declared());
    for (method, path, _) in &declared {
        for odd in odd_spellings(&concrete(path)) {
            for token in &everybody {
                let answer = harness.call(method.as_str(), &odd, token.as_deref(), "").await;
                let status = answer.status.as_u16();
                assert!((400..500).contains(&status), "{method} {odd}: {status}");
                // Below the API strangers do not even learn that there is nothing.
                if token.is_none() && odd.starts_with("/api/") {
                    assert!([401, 405].contains(&status), "{method} {odd}: {status}");
                }
                asked += 1;
            }
        }
    }
    assert!(asked > declared.len() * 15 * 5, "{asked} cells");
}

#[tokio::test]
async fn no_header_stands_for_another_method() {
    let harness = Harness::new().await;
    let token = harness.token(Role::Admin).await;
    for header in ["x-http-method-override", "x-http-method", "x-method-override"] {
        let headers = [("authorization", &*format!("Bearer {token}")), (header, "DELETE")];
        let answer = harness.call_with("POST", "/api/v1/tokens/admin", &headers, "{}").await;
        assert_eq!(answer.status, 405, "{header}");
    }
    let by_query = "/api/v1/tokens/admin?_method=DELETE";
    assert_eq!(harness.call("POST", by_query, Some(&token), "{}").await.status, 405);
    assert_eq!(harness.call("GET", "/api/v1/session", Some(&token), "").await.status, 200);
}

#[tokio::test]
async fn every_cause_of_a_bad_credential_reads_the_same() {
    let harness = Harness::new().await;
    let token = harness.token(Role::Admin).await;
    let revoked = harness.token(Role::Reader).await;
    harness.identity.revoke_token("reader").await.expect("revoked");
    let bearer = |token: &str| format!("Bearer {token}");
    let check = async |path: &str, headers: &[(&str, &str)]| {
        let answer = harness.call_with("GET", path, headers, "").await;
        let mut body = answer.json();
        body["error"]["request_id"] = "".into();
        assert_eq!(
            (answer.status.as_u16(), body.to_string()),
            (
                401,
                r#"{"error":{"code":"unauthorized","message":"a valid credential is needed","request_id":""}}"#
                    .to_owned()
            ),
            "{path} {headers:?}"
        );
    };
    check("/api/v1/alerts", &[]).await;
    check("/api/v1/alerts", &[("authorization", "Bearer lw_nobody")]).await;
    check("/api/v1/alerts", &[("authorization", &bearer(&revoked))]).await;
    check("/api/v1/alerts", &[("authorization", "Digest x")]).await;
    check("/api/v1/alerts", &[("cookie", "__Host-session=stale")]).await;
    check("/api/v1/nobody", &[]).await;
    check(&format!("/api/v1/alerts?token={token}"), &[]).await;
    check(&format!("/api/v1/alerts?access_token={token}"), &[]).await;
    check("/api/v1/alerts?token=x", &[("authorization", &bearer(&token))]).await;
    check("/api/v1/health?%74oken=x", &[]).await;
    let unknown = harness.call("GET", "/api/v1/nobody", Some(&token), "").await;
    assert_eq!((unknown.status.as_u16(), unknown.code()), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn a_notifier_has_no_name_that_a_terminal_or_a_header_would_obey() {
    let harness = Harness::new().await;
    let token = harness.token(Role::Admin).await;
    for name in ["a\\r\\nb", "a\\u001b[2J", ""] {
        let body = format!(
            r#"{{"name":"{name}","kind":"slack","settings":{{"url":"env:LOGWARDEN_CHAT"}}}}"#
        );
        let refused = harness.call("POST", "/api/v1/notifiers", Some(&token), &body).await;
        assert_eq!(refused.status, 400, "{name}");
        assert!(refused.text.contains("notifiers[0].name: has 1 to"), "{}", refused.text);
    }
}

#[tokio::test]
async fn one_token_and_one_user_are_shown_as_in_their_lists() {
    let harness = Harness::new().await;
    let token = harness.token(Role::Admin).await;
    let password = super::harness::PASSWORD;
    harness.identity.create_user("ana", "analyst", password).await.expect("made");
    for (list, name) in [("/api/v1/tokens", "admin"), ("/api/v1/users", "ana")] {
        let items = harness.call("GET", list, Some(&token), "").await.json();
        let one = harness.call("GET", &format!("{list}/{name}"), Some(&token), "").await.json();
        assert_eq!((&one["name"], &one), (&name.into(), &items["items"][0]), "{list}");
        let missing = harness.call("GET", &format!("{list}/nobody"), Some(&token), "").await;
        assert_eq!(missing.status, 404, "{list}");
    }
}

#[tokio::test]
async fn a_token_works_as_bearer_and_as_basic_password() {
    use base64::Engine as _;
    let harness = Harness::new().await;
    let token = harness.token(Role::Reader).await;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("x:{token}"));
    for value in [format!("Bearer {token}"), format!("Basic {basic}")] {
        let answer =
            harness.call_with("GET", "/api/v1/session", &[("authorization", &value)], "").await;
        assert_eq!(answer.status, 200, "{value}");
        let expected = r#"{"name":"reader","role":"reader","role_name":"reader","sees_everything":true,"kind":"token","time_zone":null}"#;
        assert_eq!(answer.text, expected);
    }
}

#[tokio::test]
async fn health_has_details_for_those_with_a_credential() {
    let harness = Harness::new().await;
    let anonymous = harness.call("GET", "/api/v1/health", None, "").await;
    assert_eq!(anonymous.text, r#"{"status":"ready"}"#);
    let token = harness.token(Role::Reader).await;
    let known = harness.call("GET", "/api/v1/health", Some(&token), "").await;
    assert_eq!(known.json()["details"]["journal"]["free_bytes"], 2);
    let ingest = harness.token(Role::Ingest).await;
    let writer = harness.call("GET", "/api/v1/health", Some(&ingest), "").await;
    assert_eq!(writer.text, r#"{"status":"ready"}"#);
}
