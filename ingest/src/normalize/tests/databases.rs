//! What databases log of connections and sign-ins.

use super::check;

#[test]
fn amazon_rds_has_a_prefix_of_its_own() {
    check(
        r#"2026-01-02 03:04:05 UTC:192.0.2.9(34567):bob@shop:[4242]:ERROR:  relation "x" does not exist at character 15"#,
        r#"at=2026-01-02T03:04:05Z
           severity=error
           message=relation "x" does not exist at character 15
           dataset=postgresql
           source.ip=192.0.2.9
           source.port=34567
           user.name=bob
           postgresql.database=shop
           process.pid=4242"#,
    );
    check(
        r#"2026-01-02 03:04:05 UTC:2001:db8::9(34567):bob@shop:[4242]:FATAL:  password authentication failed for user "bob""#,
        "source.ip=2001:db8::9\nevent.outcome=failure\nuser.name=bob",
    );
    check(
        "2026-01-02 03:04:05 UTC:[local]:bob@shop:[7]:LOG:  disconnection",
        "user.name=bob\nsource.ip=-\nsource.address=-\nprocess.pid=7",
    );
    check(
        "2026-01-02 03:04:05 UTC::@:[7]:LOG:  checkpoint starting: time",
        "user.name=-\nprocess.pid=7",
    );
    check(
        "2026-01-02 03:04:05 UTC [7]: [1-1] user=bob,db=shop LOG:  duration: 5 ms",
        "user.name=bob\npostgresql.database=shop\nprocess.pid=7",
    );
}

#[test]
fn who_is_not_known_yet_is_nobody() {
    check(
        "2026-01-02 03:04:05.678 UTC [4242] [unknown]@[unknown] LOG:  connection received: host=2001:db8::9 port=55221",
        "user.name=-\npostgresql.database=-\nsource.ip=2001:db8::9\nsource.port=55221",
    );
}

#[test]
fn a_role_that_is_not_there_cannot_sign_in() {
    check(
        r#"2026-01-02 03:04:05.678 UTC [7] root@shop FATAL:  role "root" does not exist"#,
        "event.outcome=failure\nuser.name=root",
    );
    check(
        r#"2026-01-02 03:04:05.678 UTC [7] bob@shop ERROR:  role "eve" does not exist"#,
        "event.outcome=-\nuser.name=bob",
    );
}

#[test]
fn postgresql_speaks_other_languages() {
    for (level, severity) in [
        ("FEHLER", "error"),
        ("WARNUNG", "warning"),
        ("ERREUR", "error"),
        ("ОШИБКА", "error"),
        ("错误", "error"),
    ] {
        check(
            &format!("2026-01-02 03:04:05.678 UTC [7] bob@shop {level}:  text"),
            &format!("severity={severity}\nlog.level={level}\nmessage=text\ndataset=postgresql"),
        );
    }
}

#[test]
fn an_hour_of_mariadb_may_have_one_digit() {
    check(
        "2026-01-02  3:04:05 55 [Warning] Access denied for user 'bob'@'192.0.2.9' (using password: YES)",
        "at=2026-01-02T03:04:05Z\nevent.outcome=failure",
    );
}

#[test]
fn mongodb_has_its_time_and_level_in_short_names() {
    check(
        r#"{"t":{"$date":"2026-01-02T04:04:05.678+01:00"},"s":"W","c":"ACCESS","id":20249,"ctx":"conn1","msg":"Authentication failed","attr":{"mechanism":"SCRAM-SHA-256","principalName":"bob","remote":"192.0.2.9:444"}}"#,
        "at=2026-01-02T03:04:05.678Z
         severity=warning
         message=Authentication failed
         dataset=mongodb
         user.name=bob (attr.principalName)
         source.ip=192.0.2.9
         event.outcome=failure",
    );
}
