//! Sign-ins of applications: what counts, and what must not.

use super::check;

fn ended(record: &str, outcome: &str) {
    let wanted =
        format!("event.category=authentication\nevent.outcome={outcome}\nclass=/authentication/");
    check(record, &wanted);
}

fn none(record: &str) {
    check(record, "event.category=-\nclass=");
}

#[test]
fn a_record_that_says_a_sign_in_ended_is_marked() {
    for record in [
        r#"{"event":"login_failed","user":"bob","ip":"10.0.0.1"}"#,
        r#"{"event":{"action":"user.login.failed"}}"#,
        r#"{"action":"LoginFailed"}"#,
        r#"{"event":{"action":"login"},"success":false}"#,
        r#"{"type":"LOGIN_ERROR"}"#,
        r#"{"msg":"Login failed"}"#,
        r#"{"message":"Login failed for user bob","user":"bob"}"#,
        r#"{"message":"Authentication failed: bad password","username":"bob"}"#,
        r#"{"message":"invalid credentials","client_ip":"10.0.0.1"}"#,
        r#"{"event_type":"user-login","result":"denied"}"#,
    ] {
        check(record, "event.category=authentication\nclass=/authentication/");
        let event = super::event(record);
        assert!(
            event.values("event.outcome").any(|value| value.to_string() == "failure"),
            "{record}"
        );
    }
    ended(r#"{"event":"user_logged_in","user":"bob"}"#, "success");
    ended(r#"{"message":"Logged in successfully","user":"bob"}"#, "success");
    ended(r#"{"action":"signin","ok":1,"success":true}"#, "success");
    check(
        r#"{"event":{"category":"authentication","outcome":"failed"}}"#,
        "event.category=authentication\nevent.outcome=failure",
    );
    check(
        r#"{"event":{"category":["web"],"action":"login","outcome":"failure"},"user":{"name":"bob"}}"#,
        "event.category=web authentication\nevent.outcome=failure\nuser.name=bob",
    );
}

#[test]
fn a_record_that_speaks_of_sign_ins_is_left_alone() {
    for record in [
        r#"{"message":"login failed counter reset","user":"bob"}"#,
        r#"{"message":"login page rendered","user":"bob"}"#,
        r#"{"message":"if login failed, retry","user":"bob"}"#,
        r#"{"message":"failed to authenticateX","user":"bob"}"#,
        r#"{"message":"Authentication failed: upstream database"}"#,
        r#"{"event":"login"}"#,
        r#"{"event":"logout","success":true}"#,
        r#"{"event":"order_failed","user":"bob"}"#,
        r#"{"event":"payment","outcome":"failure"}"#,
        r#"{"action":"login_form_viewed","success":true}"#,
        r#"{"message":"user bob logged in yesterday"}"#,
        r#"{"message":"accepted passwords are hashed","user":"bob"}"#,
    ] {
        none(record);
    }
    check(r#"{"path":"/login","status":401}"#, "event.category=-\nclass=/webserver/");
}

#[test]
fn an_outcome_is_one_of_three_words() {
    for (said, outcome) in [
        ("SUCCESS", "success"),
        ("ALLOW", "success"),
        ("FAILURE", "failure"),
        ("DENY", "failure"),
        ("CHALLENGE", "unknown"),
        ("SKIPPED", "unknown"),
        ("UNKNOWN", "unknown"),
    ] {
        check(
            &format!(
                r#"{{"legacyEventType":"x","eventType":"policy.evaluate_sign_on","outcome":{{"result":"{said}"}}}}"#
            ),
            &format!("event.outcome={outcome}\noutcome.result={said}"),
        );
    }
    for (said, outcome) in [
        ("\"True\"", "success"),
        ("true", "success"),
        ("\"Succeeded\"", "success"),
        ("\"PartiallySucceeded\"", "success"),
        ("\"False\"", "failure"),
        ("\"Failed\"", "failure"),
    ] {
        check(
            &format!(
                r#"{{"CreationTime":"2026-01-02T03:04:05","Operation":"New-InboxRule","RecordType":1,"Workload":"Exchange","ResultStatus":{said}}}"#
            ),
            &format!("event.outcome={outcome}"),
        );
    }
    for (said, outcome) in [
        ("Accept", "success"),
        ("permitted", "success"),
        ("Reject", "failure"),
        ("DROP", "failure"),
        ("whatever", "unknown"),
        ("unknown", "unknown"),
    ] {
        check(
            &format!(r#"{{"event":{{"outcome":"{said}"}}}}"#),
            &format!("event.outcome={outcome}"),
        );
    }
    check(r#"{"event":{"outcome":""}}"#, "event.outcome=unknown");
    check(r#"{"event":{"outcome":null}}"#, "event.outcome=null");
}
