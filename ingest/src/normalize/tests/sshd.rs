//! Lines of OpenSSH's server, real in shape, and what attackers make of them.

use super::check;

/// Checks `message` in a syslog line, and the same as the message of a JSON record.
fn line(message: &str, wanted: &str) {
    check(&format!("<86>Jan  2 03:04:05 web-1 sshd[24200]: {message}"), wanted);
    let record = serde_json::json!({"message": message, "program": "sshd", "host": "web-1"});
    check(&record.to_string(), wanted);
    let whole =
        serde_json::json!({"log": format!("Jan  2 03:04:05 web-1 sshd-session[7]: {message}")});
    check(&whole.to_string(), wanted);
}

const FAILURE: &str = "event.action=ssh_login
     event.category=authentication
     event.outcome=failure
     event.type=start
     dataset=sshd.auth
     class=linux//sshd;linux//auth;/authentication/;linux/authentication/";

#[test]
fn a_refused_root_has_an_address() {
    check(
        "<38>Jan  2 03:04:05 web1 sshd[7]: ROOT LOGIN REFUSED FROM 192.0.2.9 port 5",
        "event.action=ssh_user_not_allowed\nsource.ip=192.0.2.9\nsource.port=5\nevent.outcome=-",
    );
}

#[test]
fn a_failed_attempt_is_a_failure_with_user_and_address() {
    line(
        "Failed password for root from 203.0.113.9 port 53456 ssh2",
        &format!(
            "{FAILURE}\nuser.name=root\nsource.ip=203.0.113.9\nsource.port=53456\nsshd.method=password"
        ),
    );
    for (message, user) in [
        ("Failed password for invalid user admin from 203.0.113.9 port 1 ssh2", "admin"),
        ("Failed none for invalid user  0101 from 203.0.113.9 port 1 ssh2", " 0101"),
        ("Failed password for invalid user a b from 203.0.113.9 port 1 ssh2", "a b"),
        ("Failed publickey for git from 203.0.113.9 port 1 ssh2: RSA SHA256:abc", "git"),
        ("Failed keyboard-interactive/pam for bob from 203.0.113.9 port 1 ssh2 [preauth]", "bob"),
        ("Failed password for illegal user x from 203.0.113.9 port 1", "x"),
        (
            "message repeated 5 times: [ Failed password for root from 203.0.113.9 port 1 ssh2]",
            "root",
        ),
    ] {
        line(
            message,
            &format!("{FAILURE}\nuser.name={user}\nsource.ip=203.0.113.9\nsource.port=1"),
        );
    }
    line(
        "message repeated 5 times: [ Failed password for root from 2001:db8::1 port 1 ssh2]",
        "sshd.repeated=5\nsource.ip=2001:db8::1",
    );
}

#[test]
fn every_name_of_the_program_is_known() {
    for name in [
        "program",
        "programname",
        "process.name",
        "SYSLOG_IDENTIFIER",
        "ident",
        "appname",
        "syslog_program",
        "service",
    ] {
        let message = "Failed password for root from 203.0.113.9 port 1 ssh2";
        check(
            &format!(r#"{{"{name}":"sshd","msg":"{message}"}}"#),
            "event.outcome=failure\nuser.name=root\nsource.ip=203.0.113.9\ndataset=sshd.auth",
        );
    }
}

#[test]
fn a_user_name_cannot_forge_another_address() {
    for user in [
        "x from 198.51.100.1 port 22 ssh2",
        "invalid user y from 198.51.100.1 port 22 ssh2: RSA SHA256:abc",
        "root from 198.51.100.1",
        "a\nb from 198.51.100.1 port 1 ssh2",
        "from 198.51.100.1 from x",
        "for x from 198.51.100.1 port 22 ssh2]",
    ] {
        line(
            &format!("Failed password for invalid user {user} from 203.0.113.9 port 1 ssh2"),
            &format!(
                "source.ip=203.0.113.9\nevent.outcome=failure\nsource.port=1\nuser.name={}",
                user.replace('\n', "⏎")
            ),
        );
    }
    line(
        "Invalid user x from 198.51.100.1 port 22 from 203.0.113.9 port 1",
        "source.ip=203.0.113.9\nuser.name=x from 198.51.100.1 port 22\nevent.outcome=-",
    );
    line(
        "Connection closed by invalid user x 198.51.100.1 port 22 203.0.113.9 port 1 [preauth]",
        "source.ip=203.0.113.9\nuser.name=x 198.51.100.1 port 22",
    );
    line(
        "Bad protocol version identification 'GET / from 198.51.100.1 port 3' from 203.0.113.9 port 1",
        "source.ip=203.0.113.9\nevent.action=ssh_bad_protocol",
    );
    line(
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=x rhost=198.51.100.1",
        "source.ip=203.0.113.9\nuser.name=x rhost=198.51.100.1",
    );
}

#[test]
fn an_accepted_attempt_is_a_success() {
    line(
        "Accepted publickey for deploy from 203.0.113.9 port 22 ssh2: ED25519 SHA256:abc",
        "event.action=ssh_login
         event.outcome=success
         event.category=authentication
         user.name=deploy
         source.ip=203.0.113.9
         sshd.method=publickey",
    );
}

/// Lines that speak of an attempt that has a line of its own, or of none: message, action, user,
/// address.
const BESIDE: &[(&str, &str, &str, &str)] = &[
    ("Invalid user admin from 203.0.113.9", "ssh_invalid_user", "admin", "203.0.113.9"),
    ("Invalid user  from 203.0.113.9 port 22", "ssh_invalid_user", "", "203.0.113.9"),
    ("input_userauth_request: invalid user admin [preauth]", "ssh_invalid_user", "admin", "-"),
    (
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=root",
        "pam_authentication_failure",
        "root",
        "203.0.113.9",
    ),
    ("pam_unix(sshd:auth): check pass; user unknown", "pam_user_unknown", "-", "-"),
    (
        "PAM 5 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=root",
        "pam_more_failures",
        "root",
        "203.0.113.9",
    ),
    ("PAM service(sshd) ignoring max retries; 6 > 3", "pam_retries_ignored", "-", "-"),
    (
        "error: maximum authentication attempts exceeded for invalid user a from 203.0.113.9 port 2 ssh2 [preauth]",
        "ssh_too_many_attempts",
        "a",
        "203.0.113.9",
    ),
    (
        "Disconnecting: Too many authentication failures for root [preauth]",
        "ssh_too_many_attempts",
        "root",
        "-",
    ),
    (
        "Disconnecting invalid user a 203.0.113.9 port 2: Too many authentication failures [preauth]",
        "ssh_too_many_attempts",
        "a",
        "203.0.113.9",
    ),
    (
        "Disconnecting authenticating user root 203.0.113.9 port 2: Change of username or service not allowed: (a,ssh) -> (b,ssh) [preauth]",
        "ssh_disconnecting",
        "root",
        "203.0.113.9",
    ),
    ("Connection closed by 203.0.113.9 [preauth]", "ssh_connection_closed", "-", "203.0.113.9"),
    (
        "Connection closed by 203.0.113.9 port 5 [preauth]",
        "ssh_connection_closed",
        "-",
        "203.0.113.9",
    ),
    (
        "Connection closed by authenticating user root 203.0.113.9 port 5 [preauth]",
        "ssh_connection_closed",
        "root",
        "203.0.113.9",
    ),
    (
        "Connection reset by invalid user a b 203.0.113.9 port 5 [preauth]",
        "ssh_connection_reset",
        "a b",
        "203.0.113.9",
    ),
    ("Disconnected from user bob 203.0.113.9 port 5", "ssh_disconnected", "bob", "203.0.113.9"),
    (
        "Received disconnect from 203.0.113.9: 11: Bye Bye [preauth]",
        "ssh_disconnect_received",
        "-",
        "203.0.113.9",
    ),
    (
        "error: Received disconnect from 203.0.113.9 port 5:14: No more user authentication methods available. [preauth]",
        "ssh_disconnect_received",
        "-",
        "203.0.113.9",
    ),
    (
        "Did not receive identification string from 203.0.113.9",
        "ssh_no_identification",
        "-",
        "203.0.113.9",
    ),
    (
        "reverse mapping checking getaddrinfo for a.example [203.0.113.9] failed - POSSIBLE BREAK-IN ATTEMPT!",
        "ssh_reverse_mapping_failed",
        "-",
        "203.0.113.9",
    ),
    (
        "Address 203.0.113.9 maps to a.example, but this does not map back to the address - POSSIBLE BREAK-IN ATTEMPT!",
        "ssh_reverse_mapping_failed",
        "-",
        "203.0.113.9",
    ),
    (
        "Unable to negotiate with 203.0.113.9 port 5: no matching key exchange method found. Their offer: x [preauth]",
        "ssh_negotiation_failed",
        "-",
        "203.0.113.9",
    ),
    (
        "fatal: Unable to negotiate with 203.0.113.9: no matching cipher found. Their offer: x [preauth]",
        "ssh_negotiation_failed",
        "-",
        "203.0.113.9",
    ),
    (
        "fatal: no matching mac found: client x server y [preauth]",
        "ssh_negotiation_failed",
        "-",
        "-",
    ),
    (
        "User bob from 203.0.113.9 not allowed because not listed in AllowUsers",
        "ssh_user_not_allowed",
        "bob",
        "203.0.113.9",
    ),
    (
        "Connection from 203.0.113.9 port 5 on 10.0.0.1 port 22",
        "ssh_connection_opened",
        "-",
        "203.0.113.9",
    ),
    ("Timeout before authentication for 203.0.113.9 port 5", "ssh_timeout", "-", "203.0.113.9"),
    (
        "Postponed publickey for bob from 203.0.113.9 port 5 ssh2 [preauth]",
        "ssh_login_postponed",
        "bob",
        "203.0.113.9",
    ),
    (
        "ssh_dispatch_run_fatal: Connection from 203.0.113.9 port 5: message authentication code incorrect [preauth]",
        "ssh_connection_failed",
        "-",
        "203.0.113.9",
    ),
    (
        "banner exchange: Connection from 203.0.113.9 port 5: invalid format",
        "ssh_bad_protocol",
        "-",
        "203.0.113.9",
    ),
];

#[test]
fn lines_beside_the_attempt_have_an_action_and_no_outcome() {
    for (message, action, user, address) in BESIDE {
        line(
            message,
            &format!(
                "event.action={action}\nuser.name={user}\nsource.ip={address}\nevent.outcome=-\ndataset=sshd.auth"
            ),
        );
    }
}

#[test]
fn sessions_begin_and_end() {
    for message in [
        "pam_unix(sshd:session): session opened for user bob by (uid=0)",
        "pam_unix(sshd:session): session opened for user bob(uid=1000) by (uid=0)",
    ] {
        line(
            message,
            "event.action=session_opened\nevent.type=start\nuser.name=bob\nevent.category=session",
        );
    }
    line(
        "pam_unix(sshd:session): session closed for user bob",
        "event.action=session_closed\nuser.name=bob",
    );
}

#[test]
fn a_line_nobody_knows_is_still_sshds() {
    line(
        "Server listening on 0.0.0.0 port 22.",
        "event.action=-\ndataset=sshd.auth\nclass=linux//sshd;linux//auth",
    );
}

#[test]
fn a_ticket_is_described_behind_the_protocol() {
    for (end, outcome) in [("", "success"), (": alice@CORP.EXAMPLE", "success")] {
        check(
            &format!(
                "<38>Mar  1 12:00:00 a sshd[1]: Accepted gssapi-with-mic for alice from 192.0.2.9 port 50123 ssh2{end}"
            ),
            &format!(
                "event.outcome={outcome}\nuser.name=alice\nsource.ip=192.0.2.9\nsource.port=50123\nsshd.method=gssapi-with-mic"
            ),
        );
    }
    check(
        "<38>Mar  1 12:00:00 a sshd[1]: Failed gssapi-with-mic for invalid user x from 203.0.113.1 port 5 ssh2: y from 192.0.2.9 port 6 ssh2",
        "event.outcome=failure\nuser.name=x from 203.0.113.1 port 5 ssh2: y\nsource.ip=192.0.2.9",
    );
}
