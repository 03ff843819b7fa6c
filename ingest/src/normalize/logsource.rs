//! Logsources of JSON records that tell by a few fields whose they are: clouds, clusters, sensors,
//! web servers, processes.
//!
//! Input: markers that [`super::names`] saw on its way, and the standard fields. Output: logsource
//! tuples. Strict: a record is of a source when it has what only that source writes.

use super::reading::{Held, Reading};
use super::{Parser, standard};

/// Classifies records by their markers.
pub(crate) struct Logsource;

/// A field that tells whose a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    /// `eventSource` of AWS CloudTrail.
    AwsSource,
    /// `protoPayload.@type` of Google Cloud's audit log.
    GcpType,
    /// `apiVersion` of a Kubernetes audit event.
    ApiVersion,
    /// `legacyEventType` of Okta's system log.
    Okta,
    /// `category` of Azure's diagnostic logs.
    Category,
    /// `operationName` of Azure's diagnostic logs.
    Operation,
    /// `Workload` of Microsoft 365's audit log.
    Workload,
    /// `_document_id` of GitHub's audit log.
    GithubDocument,
    /// `auditType.action` of Bitbucket's audit log.
    Bitbucket,
    /// `logtype` of OpenCanary.
    CanaryType,
    /// `type` of a Linux audit record.
    Type,
    /// `_path` of Zeek.
    ZeekPath,
    /// `id.orig_h` of Zeek.
    ZeekOrigin,
    /// `c-uri` or `cs-host` of a proxy's log.
    Proxy,
    /// `host.os.type` and its like.
    OperatingSystem,
}

/// Markers by the name they have.
pub(crate) const MARKERS: &[(&str, Marker)] = &[
    ("eventsource", Marker::AwsSource),
    ("protopayload.@type", Marker::GcpType),
    ("apiversion", Marker::ApiVersion),
    ("legacyeventtype", Marker::Okta),
    ("category", Marker::Category),
    ("operationname", Marker::Operation),
    ("workload", Marker::Workload),
    ("documentid", Marker::GithubDocument),
    ("audittype.action", Marker::Bitbucket),
    ("logtype", Marker::CanaryType),
    ("type", Marker::Type),
    // Zeek's `_path`; other senders' `path` holds no name of its logs.
    ("path", Marker::ZeekPath),
    ("id.origh", Marker::ZeekOrigin),
    ("curi", Marker::Proxy),
    ("cshost", Marker::Proxy),
    ("host.os.type", Marker::OperatingSystem),
    ("host.os.family", Marker::OperatingSystem),
    ("host.os.platform", Marker::OperatingSystem),
];

const AZURE: &[(&str, &str)] = &[
    ("AuditLogs", "azure//auditlogs"),
    ("SignInLogs", "azure//signinlogs"),
    ("NonInteractiveUserSignInLogs", "azure//signinlogs"),
    ("ServicePrincipalSignInLogs", "azure//signinlogs"),
    ("ManagedIdentitySignInLogs", "azure//signinlogs"),
    ("UserRiskEvents", "azure//riskdetection"),
    ("RiskyUsers", "azure//riskdetection"),
    ("Administrative", "azure//activitylogs"),
    ("Policy", "azure//activitylogs"),
    ("Security", "azure//activitylogs"),
];
const MICROSOFT_365: &[(&str, &str)] = &[
    ("Exchange", "m365//exchange"),
    ("SecurityComplianceCenter", "m365//threat_management"),
    ("ThreatIntelligence", "m365//threat_management"),
    ("SharePoint", "m365//audit"),
    ("OneDrive", "m365//audit"),
    ("AzureActiveDirectory", "m365//audit"),
    ("MicrosoftTeams", "m365//audit"),
];
const ZEEK: &[(&str, &str)] = &[
    ("conn", "zeek//conn"),
    ("dns", "zeek//dns"),
    ("http", "zeek//http"),
    ("ssl", "zeek//ssl"),
    ("files", "zeek//files"),
    ("smb_files", "zeek//smb_files"),
    ("smb_mapping", "zeek//smb_mapping"),
    ("dce_rpc", "zeek//dce_rpc"),
    ("x509", "zeek//x509"),
    ("rdp", "zeek//rdp"),
    ("kerberos", "zeek//kerberos"),
    ("ssh", "zeek//ssh"),
];
/// Types of the Linux audit system that rules ask for.
const AUDIT_TYPES: &[&str] = &[
    "SYSCALL",
    "EXECVE",
    "PATH",
    "CWD",
    "PROCTITLE",
    "USER_AUTH",
    "USER_LOGIN",
    "USER_CMD",
    "USER_ACCT",
    "USER_START",
    "USER_END",
    "ADD_USER",
    "DEL_USER",
    "ADD_GROUP",
    "CRED_ACQ",
    "SERVICE_START",
    "SERVICE_STOP",
    "CONFIG_CHANGE",
    "USER_AVC",
    "AVC",
    "TTY",
    "USER_TTY",
    "SOCKADDR",
    "DAEMON_START",
    "DAEMON_END",
    "KERN_MODULE",
    "BPF",
    "USER_CHAUTHTOK",
];

impl Parser for Logsource {
    fn name(&self) -> &'static str {
        "logsource"
    }

    fn parse(&self, reading: &mut Reading<'_>) -> bool {
        if !reading.is_json {
            return false;
        }
        let mut found = Vec::new();
        for (marker, index) in &reading.markers {
            if let Held::Text(text) = reading.entries[*index].value {
                found.extend(classes_of(reading, *marker, reading.str(text)));
            }
        }
        found.extend(of_fields(reading));
        for class in &found {
            reading.add_class(class);
        }
        !found.is_empty()
    }
}

/// The classes that one marker tells.
fn classes_of(reading: &Reading<'_>, marker: Marker, value: &str) -> Vec<&'static str> {
    let listed = |list: &'static [(&str, &'static str)]| {
        let found = list.iter().find(|(name, _)| name.eq_ignore_ascii_case(value));
        found.map(|(_, class)| *class).into_iter().collect()
    };
    let has = |wanted: Marker| reading.markers.iter().any(|(marker, _)| *marker == wanted);
    match marker {
        Marker::AwsSource if value.ends_with(".amazonaws.com") => vec!["aws//cloudtrail"],
        Marker::GcpType if value.ends_with("AuditLog") => vec!["gcp//gcp.audit"],
        Marker::ApiVersion if value.starts_with("audit.k8s.io/") => {
            vec!["kubernetes//audit", "kubernetes/application/audit"]
        }
        Marker::Okta => vec!["okta//okta"],
        Marker::Category if has(Marker::Operation) => listed(AZURE),
        Marker::Workload if has(Marker::Operation) || reading.sent("Operation").is_some() => {
            let mut classes: Vec<&'static str> = listed(MICROSOFT_365);
            if !classes.is_empty() && !classes.contains(&"m365//audit") {
                classes.push("m365//audit");
            }
            classes
        }
        Marker::GithubDocument if reading.sent("org").is_some() => vec!["github//audit"],
        Marker::Bitbucket => vec!["bitbucket//audit"],
        Marker::Type if AUDIT_TYPES.contains(&value) => vec!["linux//auditd"],
        Marker::ZeekPath if has(Marker::ZeekOrigin) => listed(ZEEK),
        Marker::Proxy => vec!["/proxy/"],
        _ => Vec::new(),
    }
}

/// The classes that standard fields tell.
fn of_fields(reading: &Reading<'_>) -> Vec<&'static str> {
    let has = |place| reading.first(place).is_some();
    let mut classes = Vec::new();
    let is_canary = reading.markers.iter().any(|(marker, _)| *marker == Marker::CanaryType)
        && reading.sent("node_id").is_some();
    if is_canary {
        classes.push("opencanary/application/");
    }
    if has(standard::HTTP_STATUS)
        && (has(standard::URL_PATH) || has(standard::URL_ORIGINAL) || has(standard::URL_QUERY))
    {
        classes.push("/webserver/");
    }
    if has(standard::DNS_QUESTION) && !has(standard::EVENT_CODE) {
        classes.push("/dns/");
    }
    if has(standard::PROCESS_EXECUTABLE)
        && has(standard::PROCESS_COMMAND_LINE)
        && !has(standard::EVENT_CODE)
    {
        classes.push(process_class(reading));
    }
    classes
}

/// A process without its event log: the system says which, else the form of its path.
fn process_class(reading: &Reading<'_>) -> &'static str {
    let system = reading.markers.iter().find(|(marker, _)| *marker == Marker::OperatingSystem);
    let system = system.and_then(|(_, index)| match reading.entries[*index].value {
        Held::Text(text) => Some(reading.str(text).to_ascii_lowercase()),
        _ => None,
    });
    match system.as_deref() {
        Some("windows") => return "windows/process_creation/",
        Some("macos" | "darwin") => return "macos/process_creation/",
        Some("linux" | "debian" | "ubuntu" | "redhat" | "centos") => {
            return "linux/process_creation/";
        }
        _ => {}
    }
    let path = reading.first_text(standard::PROCESS_EXECUTABLE);
    if path.is_some_and(|path| reading.str(path).starts_with('/')) {
        "linux/process_creation/"
    } else {
        "windows/process_creation/"
    }
}
