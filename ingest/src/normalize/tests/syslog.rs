//! Syslog in its forms.

use super::check;

#[test]
fn rfc_5424_with_structured_data() {
    check(
        "<165>1 2026-01-02T03:04:05.003+01:00 web-1 app 42 ID47 [meta sequenceId=\"1\"][mdc@32473 k=\"a \\\"b\\\" \\]\"] \u{FEFF}it works\n",
        "at=2026-01-02T02:04:05.003Z
         severity=notice
         message=it works
         host.name=web-1
         process.name=app
         process.pid=42
         log.syslog.msgid=ID47
         log.syslog.facility.code=20
         log.syslog.severity.code=5
         log.syslog.structured_data.meta.sequenceId=1
         log.syslog.structured_data.mdc@32473.k=a \"b\" ]
         dataset=syslog
         class=linux//syslog",
    );
    check("<13>1 - - - - - -", "at=-\nmessage=\nhost.name=-\nhost.ip=192.0.2.7");
    check(
        "<13>1 2026-13-02T03:04:05Z h p 7 - - text",
        "at=-\nlw.time_suspect=true\nlw.original_time=2026-13-02T03:04:05Z\nhost.name=h\nprocess.pid=7\nmessage=text",
    );
    check(
        "<13>1 2026-01-02T03:04:05Z h p x7 - -  two spaces",
        "message=two spaces\nlog.syslog.procid=x7",
    );
}

#[test]
fn rfc_3164_and_what_is_sent_in_its_name() {
    check(
        "<34>Oct 11 22:14:15 mymachine su: 'su root' failed",
        "at=2025-10-11T22:14:15Z
         severity=critical
         host.name=mymachine
         process.name=su
         message='su root' failed
         dataset=auth
         class=linux//auth",
    );
    check(
        "<14>2026-01-02T03:04:05.961985+00:00 host tag[7]: msg",
        "at=2026-01-02T03:04:05.961985Z\nhost.name=host\nprocess.name=tag\nprocess.pid=7\nmessage=msg",
    );
    check("<14>shop: text\0", "message=text\nprocess.name=shop\nhost.name=-\nhost.ip=192.0.2.7");
    check("<14>just text", "message=just text\nprocess.name=-");
    check(
        "<14>Jan  2 03:04:05 10.0.0.1 %ASA-6-1: Built",
        "host.name=10.0.0.1\nprocess.name=-\nmessage=%ASA-6-1: Built",
    );
    check(
        "<14>Jan  2 03:04:05 host CRON[9]: (root) CMD",
        "process.name=CRON\ndataset=cron\nclass=linux//cron",
    );
    check("<14>Jan  2 03:04:05 2099 text", "process.name=-");
    check("<192>x", "message=<192>x\nseverity=info");
}

#[test]
fn a_message_that_is_json_is_read_as_json() {
    check(
        r#"<14>Jan  2 03:04:05 host app[9]: @cee: {"level":"error","msg":"boom","user":"bob","hostname":"other"}"#,
        "severity=error\nmessage=boom\nuser.name=bob (user)\nhost.name=host\nhostname=other\nprocess.name=app",
    );
    check("<14>Jan  2 03:04:05 host app[9]: {not json", "message={not json\nhost.name=host");
}

#[test]
fn a_line_of_a_log_file_is_syslog_without_priority() {
    check(
        "Jun 14 15:16:01 combo syslogd 1.4.1: restart.",
        "at=2025-06-14T15:16:01Z\nhost.name=combo\nprocess.name=syslogd\nmessage=restart.",
    );
    check(
        "[Sun Dec 04 04:47:44 2005] [notice] ok",
        "at=2005-12-04T04:47:44Z\nmessage=ok\nseverity=notice\ndataset=apache",
    );
    check(
        "Jul  7 08:06:15 --- last message repeated 1 time ---",
        "at=2025-07-07T08:06:15Z\nhost.name=-\nmessage=--- last message repeated 1 time ---\ndataset=syslog",
    );
    check("just a line", "message=just a line\nat=-");
    check("", "message=");
}

#[test]
fn old_pam_lines_are_attempts() {
    check(
        "Jun 14 15:16:01 combo sshd(pam_unix)[19939]: authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=218.188.2.4  user=root",
        "event.action=pam_authentication_failure
         event.outcome=failure
         event.category=authentication
         user.name=root
         source.ip=218.188.2.4
         dataset=sshd.auth",
    );
    check(
        "<86>Jun 14 15:16:01 h su[1]: pam_unix(su:auth): authentication failure; logname=bob uid=1 euid=0 tty=pts/0 ruser=bob rhost=  user=root",
        "event.outcome=failure
         user.name=root
         source.ip=-
         source.address=-
         class=/authentication/;linux/authentication/;linux//auth",
    );
    check(
        "Jun 14 15:16:01 combo su(pam_unix)[1]: session opened for user cyrus by (uid=0)",
        "event.action=session_opened\nevent.category=session\nuser.name=cyrus\nevent.outcome=-",
    );
}

#[test]
fn a_line_of_a_file_may_have_a_precise_time() {
    let line = "2026-01-02T04:04:05.678901+01:00 web1 sshd[7]: Failed password for root from 192.0.2.9 port 5 ssh2";
    let wanted = "at=2026-01-02T03:04:05.678901Z
         host.name=web1
         process.name=sshd
         process.pid=7
         user.name=root
         source.ip=192.0.2.9
         event.outcome=failure
         dataset=sshd.auth
         message=Failed password for root from 192.0.2.9 port 5 ssh2";
    check(line, wanted);
    // `journalctl -o short-iso`, syslog-ng.
    check(&line.replace("05.678901+01:00", "05+0100"), &wanted.replace(".678901", ""));
    check(&line.replace("04:04:05.678901+01:00", "03:04:05.678901Z"), wanted);
    check(
        "2026-01-02T04:04:05.678901+01:00 web1 sudo:      bob : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/id",
        "host.name=web1\nprocess.name=sudo\nuser.name=bob\nat=2026-01-02T03:04:05.678901Z",
    );
    check(
        "2026-01-02T04:04:05.678901+01:00 web1 kernel: [1.2] usb 1-1: new device",
        "host.name=web1\nprocess.name=kernel\nmessage=[1.2] usb 1-1: new device",
    );
    let shipped =
        serde_json::json!({"message": line, "log": {"file": {"path": "/var/log/auth.log"}}});
    check(
        &shipped.to_string(),
        "host.name=web1\nuser.name=root\nevent.outcome=failure\nat=2026-01-02T03:04:05.678901Z",
    );
    check(
        "2026-01-02T04:04:05+01:00 web1 kernel: usb 1-1: new device",
        "host.name=web1\nprocess.name=kernel\nmessage=usb 1-1: new device",
    );
    // Lines of applications have neither host nor program.
    for line in [
        "2026-01-02T04:04:05.678+01:00 ERROR shop.db: no connection",
        "2026-01-02T04:04:05.678+01:00  WARN 7 --- [main] c.e.Shop : slow",
        "2026-01-02T03:04:05.678Z shop db: no connection",
        "2026-01-02T04:04:05.678+01:00 stdout F app: text",
        "2026-01-02T04:04:05+01:00 order service: created",
        "2026-01-02T04:04:05.678+01:00 main.go:12: text",
    ] {
        check(line, "host.name=-\nprocess.name=-");
    }
}
