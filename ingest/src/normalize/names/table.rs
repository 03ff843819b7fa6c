//! The vocabulary: what senders call things, and a table to find it in.
//!
//! Names are compared without regard to case, `_` and `-`. The table holds the names below, which
//! mean the same whoever says them, and every name that a source file speaks of.

use logwarden_event::{STANDARD_FIELDS, standard_field};

use super::super::source::Vocabulary;

/// Names longer than this mean nothing to us.
const NAME_BYTES_MAX: usize = 80;
/// Ranks up to this one, of what is said once for a record, are of what a source file says.
pub(crate) const SOURCE_RANK_MAX: u8 = 8;
/// Ranks below are of the standard name itself and of what a source file says.
const ALIAS_RANK: u8 = 32;

/// Objects that senders put their own fields in.
const WRAPPERS: &[&str] = &[
    "fields.",
    "contextMap.",
    "context.",
    "Properties.",
    "extra.",
    "data.",
    "ctx.",
    "mdc.",
    "attributes.",
    "detail.",
    "json.",
    "jsonPayload.",
    "meta.",
];

/// How a level is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// A word, or a number of pino, bunyan, Monolog or syslog.
    Any,
    /// Only words that can be nothing else: the key has other uses.
    WordOnly,
    /// 0 to 7.
    Syslog,
    /// 1 to 24.
    OpenTelemetry,
    /// 10 to 50.
    Python,
    /// 0 to 5, as events of Windows have it.
    Windows,
    /// 1 to 5, as NXLog has it.
    Nxlog,
}

/// What a name of a sender means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The standard field at this place.
    Field(u16),
    /// When it happened.
    Time,
    /// What happened, in words.
    Message,
    /// How bad it is; also `log.level`.
    Level(Scale),
    /// The kind of log.
    Dataset,
    /// What was done; parsers look at it.
    Action,
    /// How it ended; parsers look at it.
    Outcome,
}

/// One meaning of a name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name {
    pub(crate) meaning: Meaning,
    /// The lowest wins.
    pub(crate) rank: u8,
}

/// A name that a source file speaks of, by number.
pub(crate) type Key = u16;
/// Stands where no source file speaks of a name.
pub(crate) const NO_KEY: Key = Key::MAX;

/// Standard names and what senders call them, best first. The standard name itself comes before all.
const ALIASES: &[(&str, &str)] = &[
    ("event.action", "eventaction action eventname event.name eventtype event"),
    ("event.outcome", "eventoutcome outcome"),
    (
        "event.code",
        "eventcode eventid winlog.eventid event.system.eventid event.system.eventid.#text",
    ),
    ("event.reason", "eventreason reason failurereason"),
    ("event.category", "eventcategory"),
    (
        "service.name",
        "servicename service app appname application applicationname resource.service.name dd.service svc",
    ),
    ("service.version", "serviceversion appversion dd.version"),
    (
        "service.environment",
        "environment env dd.env deployment.environment deployment.environment.name",
    ),
    (
        "host.name",
        "hostname host computername computer event.system.computer winlog.computername machinename machine nodename beat.hostname agent.hostname kubernetes.node.name kubernetes.host k8s.node.name host.hostname",
    ),
    ("host.ip", "hostip"),
    (
        "user.name",
        "username user user.username user.login login loginname account accountname userlogin usr actor.name actor actor.alternateid principal event.eventdata.targetusername winlog.eventdata.targetusername targetusername event.eventdata.user winlog.eventdata.user useridentity.username",
    ),
    ("user.id", "userid user.uid uid accountid usr.id actor.id useridentity.principalid"),
    ("user.email", "useremail email mail usr.email"),
    (
        "user.domain",
        "userdomain event.eventdata.targetdomainname winlog.eventdata.targetdomainname targetdomainname",
    ),
    ("user.roles", "userroles roles"),
    (
        "source.ip",
        "sourceip src.ip srcip clientip client.ip clientaddress clientaddr client.address remoteaddr remoteaddress remoteip req.remoteaddress request.remoteaddress request.remoteip request.clientip req.ip request.ip sourceips req.clientip http.clientip httprequest.remoteip httprequest.clientip client.ipaddress event.eventdata.ipaddress winlog.eventdata.ipaddress ipaddress ipaddr sourceaddress sourceipaddress source.address src peeraddr peerip peer.ip net.peer.ip network.client.ip rhost id.origh ip client remotehost peer addr xforwardedfor xrealip event.eventdata.sourceip winlog.eventdata.sourceip",
    ),
    (
        "source.port",
        "sourceport src.port srcport clientport client.port remoteport req.remoteport request.remoteport spt sport event.eventdata.ipport winlog.eventdata.ipport ipport event.eventdata.sourceport winlog.eventdata.sourceport",
    ),
    (
        "destination.ip",
        "destinationip dst.ip dstip destip dest.ip destination.address destinationaddress serverip server.ip dst id.resph event.eventdata.destinationip winlog.eventdata.destinationip",
    ),
    (
        "destination.port",
        "destinationport dst.port dstport destport dest.port serverport server.port dpt dport event.eventdata.destinationport winlog.eventdata.destinationport",
    ),
    ("network.protocol", "networkprotocol protocol proto"),
    ("network.transport", "networktransport transport"),
    (
        "process.name",
        "processname program syslogidentifier ident procname comm process programname syslogprogram syslog.program syslog.appname",
    ),
    (
        "process.pid",
        "pid processid process.id event.eventdata.processid winlog.eventdata.processid",
    ),
    (
        "process.executable",
        "exe executable process.path processpath image event.eventdata.image winlog.eventdata.image event.eventdata.newprocessname newprocessname",
    ),
    (
        "process.command_line",
        "processcommandline commandline cmdline event.eventdata.commandline winlog.eventdata.commandline",
    ),
    (
        "process.parent.pid",
        "ppid parentprocessid event.eventdata.parentprocessid winlog.eventdata.parentprocessid",
    ),
    ("process.thread.name", "threadname thread thread.name"),
    ("log.logger", "loggername logger logger.name sourcecontext target"),
    (
        "error.message",
        "errormessage error.msg err.message err.msg error err exception.message thrown.message exceptionmessage",
    ),
    (
        "error.type",
        "errortype err.type err.name exception.name error.name error.kind error.class exception.class exception.type thrown.name exceptionclass exctype",
    ),
    (
        "error.stack_trace",
        "errorstacktrace stacktrace stack err.stack error.stack exception.stacktrace excinfo thrown.extendedstacktrace exception @x",
    ),
    (
        "http.request.method",
        "httpmethod method http.method req.method request.method requestmethod httprequest.requestmethod httprequest.httpmethod verb csmethod",
    ),
    (
        "http.response.status_code",
        "statuscode httpstatus http.statuscode http.status res.statuscode res.status response.status response.statuscode responsecode httprequest.status httpstatuscode scstatus status",
    ),
    (
        "http.response.body.bytes",
        "bodybytessent responsesize responsebytes bytessent res.contentlength contentlength",
    ),
    ("http.request.id", "requestid reqid req.id request.id xrequestid http.requestid"),
    ("url.path", "urlpath path req.path request.path csuristem"),
    (
        "url.original",
        "url req.url request.url requesturl requesturi request.uri httprequest.requesturl httprequest.uri http.url http.target url.full uri originalurl req.originalurl",
    ),
    ("url.query", "querystring csuriquery"),
    (
        "user_agent.original",
        "useragent httpuseragent http.useragent req.headers.useragent request.headers.useragent request.useragent httprequest.useragent ua csuseragent",
    ),
    ("trace.id", "traceid dd.traceid otel.traceid oteltraceid @tr"),
    ("span.id", "spanid dd.spanid otel.spanid otelspanid @sp"),
    ("transaction.id", "transactionid"),
    ("session.id", "sessionid session sid"),
    ("container.id", "containerid docker.containerid"),
    ("container.name", "containername kubernetes.container.name kubernetes.containername"),
    ("orchestrator.namespace", "kubernetes.namespace kubernetes.namespacename k8s.namespace.name"),
    ("orchestrator.resource.name", "kubernetes.pod.name kubernetes.podname k8s.pod.name"),
    ("dns.question.name", "queryname event.eventdata.queryname winlog.eventdata.queryname"),
    ("http.version", "httpversion serverprotocol request.version"),
    (
        "http.request.referrer",
        "referer referrer httpreferer httpreferrer req.headers.referer httprequest.referer",
    ),
    ("http.request.bytes", "requestlength requestsize"),
    ("url.domain", "cshost"),
    ("container.image.name", "containerimage containerimagename kubernetes.containerimage"),
];
const TIMES: &str = "@timestamp timestamp time isodate ts @t datetime sourcerealtimetimestamp eventtime timemillis epochmillis epochms timestampms timeunixnano observedtimeunixnano realtimetimestamp asctime created date event.system.timecreated.systemtime event.system.timecreated.#attributes.systemtime timecreated utctime logtime";
const MESSAGES: &str = "message msg @m renderedmessage shortmessage fields.message jsonpayload.message textpayload fullmessage log body line text @mt messagetemplate event";
const DATASETS: &str = "event.dataset datastream.dataset dataset";
const ACTIONS: &str =
    "event.action action event eventtype eventname event.type type operation msg message";
const OUTCOMES: &str = "event.outcome eventoutcome outcome result outcome.result status loginresult authresult success successful authenticated responseelements.consolelogin";
const LEVELS: &[(&str, Scale)] = &[
    ("log.level", Scale::Any),
    ("level", Scale::Any),
    ("levelname", Scale::Any),
    ("loglevel", Scale::Any),
    ("lvl", Scale::Any),
    ("@l", Scale::Any),
    ("severitytext", Scale::Any),
    ("severity", Scale::Any),
    ("severitynumber", Scale::OpenTelemetry),
    ("levelno", Scale::Python),
    ("priority", Scale::Syslog),
    ("status", Scale::WordOnly),
];

/// What there is to know of one name.
#[derive(Debug)]
pub(crate) struct Slot {
    name: &'static str,
    /// At most four: `event` has three.
    pub(crate) meanings: [Option<Name>; 4],
    /// Its number, when a source file speaks of it.
    pub(crate) key: Key,
}

/// A fixed open-addressed table: names of senders never enter it, so nobody can make it slow.
#[derive(Debug)]
pub(crate) struct Table {
    /// Places in `slots`, [`EMPTY`] where there is none; at most a quarter are taken.
    places: Vec<u16>,
    slots: Vec<Slot>,
    keys: Key,
}

const PLACES: usize = 8_192;
const EMPTY: u16 = u16::MAX;

impl Table {
    /// The names that mean the same whoever says them.
    pub(crate) fn new() -> Self {
        let mut table = Self { places: vec![EMPTY; PLACES], slots: Vec::new(), keys: 0 };
        for (place, field) in STANDARD_FIELDS.iter().enumerate() {
            let place = u16::try_from(place).expect("there are few standard fields");
            if field.name != "log.level" && !field.name.starts_with("lw.") {
                table.add(field.name, Name { meaning: Meaning::Field(place), rank: 0 });
            }
        }
        for (standard, names) in ALIASES {
            let place = standard_field(standard).expect("aliases are of standard fields");
            for (rank, name) in (ALIAS_RANK..).zip(names.split(' ')) {
                table.add(name, Name { meaning: Meaning::Field(place), rank });
            }
        }
        for (meaning, names) in [
            (Meaning::Time, TIMES),
            (Meaning::Message, MESSAGES),
            (Meaning::Dataset, DATASETS),
            (Meaning::Action, ACTIONS),
            (Meaning::Outcome, OUTCOMES),
        ] {
            for (rank, name) in (SOURCE_RANK_MAX + 1..).zip(names.split(' ')) {
                table.add(name, Name { meaning, rank });
            }
        }
        for (rank, (name, scale)) in (SOURCE_RANK_MAX + 1..).zip(LEVELS) {
            table.add(name, Name { meaning: Meaning::Level(*scale), rank });
        }
        table
    }

    /// The number of a name, which it gets when it has none yet.
    pub(crate) fn key(&mut self, name: &str) -> Key {
        let slot = self.slot(name);
        if self.slots[slot].key == NO_KEY {
            self.slots[slot].key = self.keys;
            self.keys += 1;
        }
        self.slots[slot].key
    }

    fn add(&mut self, name: &str, meaning: Name) {
        let slot = self.slot(name);
        let free = self.slots[slot].meanings.iter_mut().find(|free| free.is_none());
        *free.expect("a name has at most four meanings") = Some(meaning);
    }

    /// The place of a name in `slots`, where it is entered when it is new.
    fn slot(&mut self, name: &str) -> usize {
        let mut canonical = [0; NAME_BYTES_MAX];
        let name = canonical_of(name, &mut canonical).expect("names we speak of are short");
        let mut index = hash(name);
        while self.places[index] != EMPTY {
            let slot = usize::from(self.places[index]);
            if self.slots[slot].name.as_bytes() == name {
                return slot;
            }
            index = (index + 1) % PLACES;
        }
        let slot = self.slots.len();
        assert!(slot < PLACES / 4, "the table is large enough for all names");
        self.places[index] = u16::try_from(slot).expect("below the bound");
        let name = String::from_utf8(name.to_vec()).expect("names we speak of are text");
        // Leaked once for the life of the process: the table is static.
        self.slots.push(Slot { name: name.leak(), meanings: [None; 4], key: NO_KEY });
        slot
    }

    fn find(&self, canonical: &[u8]) -> Option<u16> {
        let mut index = hash(canonical);
        loop {
            let place = self.places[index];
            if place == EMPTY {
                return None;
            }
            if self.slots[usize::from(place)].name.as_bytes() == canonical {
                return Some(place);
            }
            index = (index + 1) % PLACES;
        }
    }

    /// The table of all names.
    pub(crate) fn get() -> &'static Self {
        &Vocabulary::get().table
    }

    /// What there is to know of the name that [`lookup`] found.
    pub(crate) fn slot_at(&self, place: u16) -> &Slot {
        &self.slots[usize::from(place)]
    }
}

/// Mixes length, beginning and end of a name.
fn hash(name: &[u8]) -> usize {
    let (first, last) = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => {
            let mut short = [0; 8];
            short[..name.len()].copy_from_slice(name);
            (u64::from_le_bytes(short), 0)
        }
    };
    let mixed = (first ^ last.rotate_left(29) ^ name.len() as u64)
        // Fibonacci hashing: the upper bits of the product are well mixed.
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 51) as usize % PLACES
}

/// Each byte in lower case, and 0 for those that do not count.
static LETTERS: [u8; 256] = {
    let mut letters = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        letters[byte] = match byte as u8 {
            b'_' | b'-' => 0,
            // NUL counts, but is in no name: it stands for itself as a byte that is in none either.
            0 => 0xFF,
            other => other.to_ascii_lowercase(),
        };
        byte += 1;
    }
    letters
};

/// The name in lower case and without joints, in `buffer`; none when it is too long.
fn canonical_of<'b>(name: &str, buffer: &'b mut [u8; NAME_BYTES_MAX]) -> Option<&'b [u8]> {
    let mut length = 0;
    for byte in name.bytes() {
        let letter = LETTERS[usize::from(byte)];
        *buffer.get_mut(length)? = letter;
        length += usize::from(letter != 0);
    }
    Some(&buffer[..length])
}

/// The place of the name in the table, in whatever case and with whatever joints it is written.
pub(crate) fn lookup(path: &str) -> Option<u16> {
    let mut buffer = [0; NAME_BYTES_MAX];
    let canonical = canonical_of(path, &mut buffer)?;
    Table::get().find(canonical)
}

/// The name without the wrapper around it.
pub(super) fn unwrapped(path: &str) -> Option<&str> {
    // Wrappers begin with one of these; most names end the search here.
    if !matches!(
        path.as_bytes().first(),
        Some(b'f' | b'c' | b'P' | b'e' | b'd' | b'm' | b'a' | b'j')
    ) {
        return None;
    }
    WRAPPERS.iter().find_map(|wrapper| path.strip_prefix(wrapper))
}
