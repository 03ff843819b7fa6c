//! Six kinds of security events of a company that does not exist, as its programs would write them,
//! and what each of them says.
//!
//! Pure: the same seed gives the same bytes. Every record is one line of JSON with ids that nothing
//! else has; what queries ask for is told beside it, so that nobody has to read the line again.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use logwarden_event::Timestamp;

use super::population::{ADDRESSES, USERS, Zipf, address, user_name};
use crate::cli::random::Random;

/// Words that stand in a record only where its [`Facts`] say so; the first [`WORDS_IN_MESSAGES`]
/// of them then stand in its message.
pub(super) const WORDS: [&str; 14] = [
    "signed",
    "rejected",
    "passkey",
    "totp",
    "saml",
    "publickey",
    "orders",
    "invoices",
    "checkout",
    "reports",
    "rsync",
    "configmaps",
    "kubectl",
    "nxdomain",
];
/// How many of [`WORDS`] stand in messages.
pub(super) const WORDS_IN_MESSAGES: usize = 11;
const SIGNED: usize = 0;
const REJECTED: usize = 1;
/// The first way to sign in; the others follow.
const METHODS: usize = 2;
const METHOD_COUNT: u64 = 3;
const PUBLICKEY: usize = 5;
/// The first service behind the gateway; the others follow.
pub(super) const SERVICES: usize = 6;
pub(super) const SERVICE_COUNT: usize = 4;
const RSYNC: usize = 10;
const CONFIGMAPS: usize = 11;
const KUBECTL: usize = 12;
const NXDOMAIN: usize = 13;

/// Longest request, in microseconds.
pub(super) const DURATION_US_MAX: usize = 1_000_000;

const BROWSERS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "okhttp/4.12.0",
];
const RESOURCES: [&str; 5] = ["pods", "leases", "secrets", "configmaps", "endpointslices"];
const NAMESPACES: [&str; 5] = ["default", "payments", "platform", "kube-system", "observability"];
const ACCOUNTS: [&str; 5] = [
    "system:serviceaccount:kube-system:generic-garbage-collector",
    "system:serviceaccount:kube-system:endpointslice-controller",
    "system:serviceaccount:argocd:application-controller",
    "system:kube-scheduler",
    "system:node:worker-17",
];
const PROGRAMS: [(&str, &str, &str); 6] = [
    ("/usr/bin/bash", "bash", "bash -c /opt/agent/collect.sh --once"),
    ("/usr/bin/rsync", "rsync", "rsync -a --delete /srv/app/current/ backup-3:/srv/app/"),
    ("/usr/bin/python3.12", "python3.12", "python3 -m gunicorn shop.wsgi --workers 4"),
    ("/usr/sbin/logrotate", "logrotate", "/usr/sbin/logrotate /etc/logrotate.conf"),
    ("/usr/bin/git", "git", "git fetch --prune origin"),
    ("/usr/bin/systemctl", "systemctl", "systemctl is-active node-exporter"),
];
const DOMAINS: [&str; 6] = [
    "api.shop.example",
    "cdn.shop.example",
    "login.corp.example",
    "telemetry.vendor.example",
    "mirror.distribution.example",
    "storage.cloud.example",
];
const NAMED: [&str; 3] = ["root", "www-data", "svc-backup"];

/// Who a record speaks of in `user.name`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// A user with an account.
    User(usize),
    /// A program or one that is in no list.
    Named(&'static str),
}

impl Who {
    fn name(self) -> String {
        match self {
            Self::User(place) => user_name(place),
            Self::Named(name) => name.to_owned(),
        }
    }
}

/// What a record says, under the standard names that the normalizer gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// `user.name`.
    pub(super) who: Option<Who>,
    /// `source.ip`.
    pub(super) address: Option<Ipv4Addr>,
    /// `event.outcome`: success or failure.
    pub(super) succeeded: Option<bool>,
    /// `http.response.status_code`.
    pub(super) status: Option<u16>,
    /// `http.response.body.bytes`.
    pub(super) body_bytes: Option<u64>,
    /// `duration_us`.
    pub(super) duration_us: Option<u32>,
    /// `trace.id`, and whether it is the first event with it.
    pub(super) trace: Option<(u128, bool)>,
    /// The last digit of the number that ends `url.path`, with the service's place.
    pub(super) last_digit: Option<(usize, usize)>,
    /// Bits of [`WORDS`].
    pub(super) words: u32,
}

/// What a planted record has besides.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mark<'a> {
    /// A word at the end of its message.
    pub(super) note: Option<&'a str>,
    /// A word in a field of its own.
    pub(super) label: Option<&'a str>,
}

/// Writes records.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) random: Random,
    users: Zipf,
    addresses: Zipf,
    trace: u128,
    mistakes: usize,
}

impl Scene {
    /// A company whose life is decided by `seed`.
    pub(super) fn new(seed: u64) -> Self {
        let (users, addresses) = (Zipf::new(USERS), Zipf::new(ADDRESSES));
        Self { random: Random::new(seed), users, addresses, trace: 0, mistakes: 0 }
    }

    /// A record of ordinary life.
    pub(super) fn ordinary(&mut self, at: Timestamp, line: &mut String) -> Facts {
        match self.random.below(100) {
            0..20 => self.ordinary_sign_in(at, line),
            20..55 => self.request(at, None, line),
            55..70 => self.audit(at, line),
            70..80 => self.syslog(at, line),
            80..90 => self.process(at, line),
            _ => self.name_query(at, line),
        }
    }

    fn ordinary_sign_in(&mut self, at: Timestamp, line: &mut String) -> Facts {
        let succeeded = self.random.below(12) != 0;
        let (who, from) = if succeeded { self.somebody() } else { self.mistaken() };
        self.sign_in(at, succeeded, (who, from), Mark::default(), line)
    }

    /// Somebody from somewhere, the busy ones more often.
    pub(super) fn somebody(&mut self) -> (Who, Ipv4Addr) {
        let user = self.users.pick(&mut self.random);
        (Who::User(user), address(self.addresses.pick(&mut self.random)))
    }

    /// Somebody who mistypes. Everybody does in turn, so that no two failures of ordinary life look
    /// like an attack.
    fn mistaken(&mut self) -> (Who, Ipv4Addr) {
        self.mistakes += 1;
        (Who::User(self.mistakes % USERS), address(self.mistakes % ADDRESSES))
    }

    /// A sign-in at the company's identity service.
    pub(super) fn sign_in(
        &mut self,
        at: Timestamp,
        succeeded: bool,
        (who, from): (Who, Ipv4Addr),
        mark: Mark<'_>,
        line: &mut String,
    ) -> Facts {
        let method = METHODS + self.random.below(METHOD_COUNT) as usize;
        let (user, (trace, is_first), how) = (who.name(), self.next_trace(), WORDS[method]);
        let (level, outcome, message) = if succeeded {
            ("info", "success", format!("user {user} signed in from {from} with {how}"))
        } else {
            ("warn", "failure", format!("sign-in of {user} from {from} rejected: wrong {how}"))
        };
        let note = mark.note.map(|note| format!(", note {note}")).unwrap_or_default();
        let label = mark.label.map(|label| format!(r#""label":"{label}","#)).unwrap_or_default();
        write_to(
            line,
            format_args!(
                r#"{{"@timestamp":"{at}","level":"{level}","service":"identity","env":"production","host":{{"name":"identity-{}"}},"#,
                self.random.below(6),
            ),
        );
        write_to(
            line,
            format_args!(
                r#""event":{{"category":"authentication","action":"login","outcome":"{outcome}"}},"user":{{"name":"{user}"}},"source":{{"ip":"{from}","port":{}}},{label}"#,
                self.port(),
            ),
        );
        write_to(
            line,
            format_args!(
                r#""session":{{"id":"{:016x}{:08x}"}},"trace":{{"id":"{trace:032x}"}},"user_agent":"{}","message":"{message}{note}"}}"#,
                self.random.next(),
                self.random.next() as u32,
                self.random.pick(&BROWSERS),
            ),
        );
        let word = if succeeded { SIGNED } else { REJECTED };
        Facts {
            who: Some(who),
            address: Some(from),
            succeeded: Some(succeeded),
            trace: Some((trace, is_first)),
            words: 1 << word | 1 << method,
            ..Facts::default()
        }
    }

    /// A request through the gateway; `part` stands in its path.
    pub(super) fn request(
        &mut self,
        at: Timestamp,
        part: Option<&str>,
        line: &mut String,
    ) -> Facts {
        let place = self.random.below(SERVICE_COUNT as u64) as usize;
        let (service, number) = (WORDS[SERVICES + place], self.random.below(9_000_000) + 1_000_000);
        let path = match part {
            Some(part) => format!("/api/v2/{service}/r{part}/{number}"),
            None => format!("/api/v2/{service}/{number}"),
        };
        let method = self.random.pick(&["GET", "GET", "GET", "POST", "PUT"]);
        let status = self.status();
        let level = if status < 500 { "info" } else { "error" };
        let duration_us = self.duration_us();
        let body_bytes = self.random.below(60_000) + 120;
        let (who, from) = self.somebody();
        // One in five has not signed in.
        let who = Some(who).filter(|_| self.random.below(5) != 0);
        let user = who.map(|who| format!(r#""user":"{}","#, who.name())).unwrap_or_default();
        let (trace, is_first) = self.next_trace();
        write_to(
            line,
            format_args!(
                r#"{{"timestamp":"{at}","level":"{level}","service":"gateway","method":"{method}","path":"{path}","protocol":"HTTP/2","status":{status},"#,
            ),
        );
        write_to(
            line,
            format_args!(
                r#""bytes_sent":{body_bytes},"duration_us":{duration_us},"client_ip":"{from}","client_port":{},{user}"user_agent":"{}","#,
                self.port(),
                self.random.pick(&BROWSERS),
            ),
        );
        write_to(
            line,
            format_args!(
                r#""request_id":"{}","trace_id":"{trace:032x}","span_id":"{:016x}","upstream":"{service}-{}:8080","message":"{method} {path} {status}"}}"#,
                self.uuid(),
                self.random.next(),
                self.random.below(8),
            ),
        );
        Facts {
            who,
            address: Some(from),
            status: Some(status),
            body_bytes: Some(body_bytes),
            duration_us: Some(duration_us),
            trace: Some((trace, is_first)),
            last_digit: Some((place, (number % 10) as usize)),
            words: 1 << (SERVICES + place),
            ..Facts::default()
        }
    }

    /// What the Kubernetes API server's audit log says.
    fn audit(&mut self, at: Timestamp, line: &mut String) -> Facts {
        let is_person = self.random.below(4) == 0;
        let (person, from) = self.somebody();
        let account = self.random.pick(&ACCOUNTS);
        let who = if is_person { person } else { Who::Named(account) };
        let agent =
            if is_person { "kubectl/v1.31.2 (linux/amd64)" } else { "kube-controller/v1.31.2" };
        let group = if is_person { "corp:engineering" } else { "system:serviceaccounts" };
        let (resource, space) = (self.random.pick(&RESOURCES), self.random.pick(&NAMESPACES));
        let verb = self.random.pick(&["get", "get", "list", "watch", "update", "patch", "create"]);
        let name = format!("{resource}-{:04x}", self.random.below(4_000));
        let code = if self.random.below(40) == 0 { 403 } else { 200 };
        let decision = if code == 200 { "allow" } else { "forbid" };
        write_to(
            line,
            format_args!(
                r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"{}","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/{space}/{resource}/{name}","verb":"{verb}","#,
                self.uuid(),
            ),
        );
        write_to(
            line,
            format_args!(
                r#""user":{{"username":"{}","groups":["{group}","system:authenticated"]}},"sourceIPs":["{from}"],"userAgent":"{agent}","#,
                who.name(),
            ),
        );
        write_to(
            line,
            format_args!(
                r#""objectRef":{{"resource":"{resource}","namespace":"{space}","name":"{name}","apiVersion":"v1"}},"responseStatus":{{"code":{code}}},"#,
            ),
        );
        write_to(
            line,
            format_args!(
                r#""timestamp":"{at}","annotations":{{"authorization.k8s.io/decision":"{decision}"}}}}"#,
            ),
        );
        let is_config = resource == RESOURCES[3];
        let words = u32::from(is_config) << CONFIGMAPS | u32::from(is_person) << KUBECTL;
        let (succeeded, status) = (Some(code == 200), Some(code));
        Facts { who: Some(who), address: Some(from), words, succeeded, status, ..Facts::default() }
    }

    /// What sshd, sudo and cron say, as a shipper of the system's log puts it.
    fn syslog(&mut self, at: Timestamp, line: &mut String) -> Facts {
        match self.random.below(10) {
            0..6 => {
                let succeeded = self.random.below(15) != 0;
                let (who, from) = if succeeded { self.somebody() } else { self.mistaken() };
                self.ssh(at, succeeded, (who, from), line)
            }
            6..8 => {
                let unit = self.random.pick(&["nginx", "node-exporter", "app"]);
                let message = format!(
                    "deploy : TTY=pts/{} ; PWD=/srv/app ; USER=root ; COMMAND=/usr/bin/systemctl restart {unit}.service",
                    self.random.below(8)
                );
                self.system_line(at, ("sudo", &message), line)
            }
            _ => {
                let job = self.random.pick(&["anacron", "certbot", "sysstat"]);
                let message = format!("(root) CMD (test -x /usr/sbin/{job} && /usr/sbin/{job} -q)");
                self.system_line(at, ("CRON", &message), line)
            }
        }
    }

    /// A sign-in over SSH, with a key when it succeeds and a password when it does not.
    pub(super) fn ssh(
        &mut self,
        at: Timestamp,
        succeeded: bool,
        (who, from): (Who, Ipv4Addr),
        line: &mut String,
    ) -> Facts {
        let (user, port) = (who.name(), self.port());
        let message = if succeeded {
            let (left, right) = (self.random.next(), self.random.next());
            format!(
                "Accepted publickey for {user} from {from} port {port} ssh2: ED25519 SHA256:{left:016x}{right:016x}"
            )
        } else {
            format!("Failed password for {user} from {from} port {port} ssh2")
        };
        Facts {
            who: Some(who),
            address: Some(from),
            succeeded: Some(succeeded),
            words: u32::from(succeeded) << PUBLICKEY,
            ..self.system_line(at, ("sshd", &message), line)
        }
    }

    /// A line that makes somebody an administrator.
    pub(super) fn new_administrator(&mut self, at: Timestamp, line: &mut String) -> Facts {
        self.system_line(at, ("usermod", "add 'deploy' to group 'sudo'"), line)
    }

    fn system_line(
        &mut self,
        at: Timestamp,
        (program, message): (&str, &str),
        line: &mut String,
    ) -> Facts {
        let (host, machine) = (self.random.below(40), 0xC0FF_EE00_0000_0000_u64);
        write_to(
            line,
            format_args!(
                r#"{{"timestamp":"{at}","hostname":"bastion-{host}","program":"{program}","pid":{},"facility":"authpriv","severity":"info","#,
                self.random.below(60_000) + 800,
            ),
        );
        write_to(
            line,
            format_args!(
                r#""_MACHINE_ID":"{:032x}","_BOOT_ID":"{:032x}","_SYSTEMD_UNIT":"{program}.service","_TRANSPORT":"syslog","__CURSOR":"s={:032x};i={:x}","message":"{message}"}}"#,
                u128::from(machine + host) << 60,
                u128::from(machine + host) << 58,
                u128::from(machine) << 50,
                self.random.next() >> 24,
            ),
        );
        Facts::default()
    }

    /// A program that was started.
    fn process(&mut self, at: Timestamp, line: &mut String) -> Facts {
        let place = self.random.below(PROGRAMS.len() as u64) as usize;
        let (path, name, command) = PROGRAMS[place];
        let who = if self.random.below(3) == 0 {
            self.somebody().0
        } else {
            Who::Named(self.random.pick(&NAMED))
        };
        let (pid, parent) = (self.random.below(400_000) + 300, self.random.below(400_000) + 300);
        write_to(
            line,
            format_args!(
                r#"{{"@timestamp":"{at}","host":{{"name":"web-{}","os":{{"type":"linux"}}}},"event":{{"category":"process","type":"start","action":"exec"}},"#,
                self.random.below(120),
            ),
        );
        write_to(
            line,
            format_args!(
                r#""process":{{"pid":{pid},"entity_id":"{:016x}{:016x}","executable":"{path}","name":"{name}","command_line":"{command}","working_directory":"/srv/app","hash":{{"sha256":"{:064x}"}},"#,
                self.random.next(),
                self.random.next(),
                (place as u128 + 11).pow(24),
            ),
        );
        write_to(
            line,
            format_args!(
                r#""parent":{{"pid":{parent},"executable":"/usr/lib/systemd/systemd","command_line":"/sbin/init"}}}},"user":{{"name":"{}"}},"message":"process {pid} started: {command}"}}"#,
                who.name(),
            ),
        );
        let words = u32::from(name == WORDS[RSYNC]) << RSYNC;
        Facts { who: Some(who), words, ..Facts::default() }
    }

    /// A name that was looked up, as Zeek writes it.
    fn name_query(&mut self, at: Timestamp, line: &mut String) -> Facts {
        let from = self.somebody().1;
        let exists = self.random.below(8) != 0;
        let label = self.random.next() >> 40;
        let domain = self.random.pick(&DOMAINS);
        write_to(
            line,
            format_args!(
                r#"{{"_path":"dns","ts":"{at}","uid":"C{:016x}","id.orig_h":"{from}","id.orig_p":{},"id.resp_h":"172.16.0.53","id.resp_p":53,"proto":"udp","trans_id":{},"#,
                self.random.next(),
                self.port(),
                self.random.below(65_536),
            ),
        );
        write_to(
            line,
            format_args!(
                r#""rtt":0.{:06},"query":"n{label:06x}.{domain}","qclass":1,"qclass_name":"C_INTERNET","qtype":1,"qtype_name":"A","AA":false,"TC":false,"RD":true,"RA":true,"Z":0,"#,
                self.random.below(90_000),
            ),
        );
        if exists {
            let (high, low) = (self.random.below(256), self.random.below(254) + 1);
            write_to(
                line,
                format_args!(
                    r#""rcode":0,"rcode_name":"NOERROR","answers":["172.20.{high}.{low}"],"TTLs":[300.0],"rejected":false}}"#,
                ),
            );
        } else {
            write_to(line, format_args!(r#""rcode":3,"rcode_name":"NXDOMAIN","rejected":false}}"#));
        }
        Facts { address: Some(from), words: u32::from(!exists) << NXDOMAIN, ..Facts::default() }
    }

    /// A request that is traced often passes several services.
    fn next_trace(&mut self) -> (u128, bool) {
        let is_first = self.trace == 0 || self.random.below(4) != 0;
        if is_first {
            self.trace = u128::from(self.random.next()) << 64 | u128::from(self.random.next());
        }
        (self.trace, is_first)
    }

    fn status(&mut self) -> u16 {
        match self.random.below(1_000) {
            0..900 => 200,
            900..930 => 201,
            930..950 => 304,
            950..965 => 401,
            965..985 => 404,
            985..988 => 429,
            988..993 => 500,
            993..997 => 502,
            _ => 503,
        }
    }

    /// Most are fast, few are slow.
    fn duration_us(&mut self) -> u32 {
        let scale = 1 << self.random.below(11);
        (self.random.below(900 * scale) + 80).min(DURATION_US_MAX as u64 - 1) as u32
    }

    fn port(&mut self) -> u64 {
        self.random.below(28_000) + 32_768
    }

    fn uuid(&mut self) -> String {
        let (high, low) = (self.random.next(), self.random.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            high >> 32,
            (high >> 16) as u16,
            high & 0xFFF,
            low >> 52,
            low & 0xFFFF_FFFF_FFFF
        )
    }
}

fn write_to(line: &mut String, text: std::fmt::Arguments<'_>) {
    line.write_fmt(text).expect("a string takes everything");
}
