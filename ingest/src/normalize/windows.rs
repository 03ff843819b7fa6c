//! Windows event logs, by whatever shipper: which logsources an event belongs to.
//!
//! Input: a JSON record with a channel and an event id, as the event itself has them, under
//! `Event.System`, under `winlog` or at the top; or the XML of an event, see [`xml`]. Output: the service of the channel, the categories of
//! the event id (Sysmon's events belong to several), what of it ECS has a word for, sign-ins of the Security channel, and
//! who acted: see [`account`]. Records of
//! Sysmon's fields without a channel count as Sysmon's. What an event says is found by its plain name
//! too where shippers hide it: see [`data`].

mod account;
mod data;
mod process;
mod xml;

use logwarden_event::FieldOptions;

use super::reading::{Held, Reading};
use super::{Parser, standard};

/// Classifies Windows events.
pub(crate) struct Windows;

const SYSMON: &str = "windows//sysmon";
/// The logsource of messages whose program nobody knows.
const SYSLOG: &str = "linux//syslog";
const SECURITY: &str = "windows//security";
/// The event of [`SECURITY`] about a new process, which names its own number otherwise than all others.
const PROCESS_CREATED: i64 = 4688;
/// The provider that traces files, in a channel or without one.
const KERNEL_FILE: &str = "windows//kernel-file";

/// RPC Firewall, whose rules name the channel otherwise.
const RPC_FIREWALL: &str = "rpc_firewall/application/";
const RPC_FIREWALL_CHANNEL: &str = "RPCFW";

/// Channels and their services, some of which have two names; compared without regard to case.
const CHANNELS: &[(&str, &str)] = &[
    ("Security", SECURITY),
    ("System", "windows//system"),
    ("Application", "windows//application"),
    ("Microsoft-Windows-Sysmon/Operational", SYSMON),
    ("Microsoft-Windows-PowerShell/Operational", "windows//powershell"),
    ("PowerShellCore/Operational", "windows//powershell"),
    ("Windows PowerShell", "windows//powershell-classic"),
    ("Microsoft-Windows-TaskScheduler/Operational", "windows//taskscheduler"),
    ("Microsoft-Windows-WMI-Activity/Operational", "windows//wmi"),
    ("Microsoft-Windows-Windows Defender/Operational", "windows//windefend"),
    ("Microsoft-Windows-Windows Firewall With Advanced Security/Firewall", "windows//firewall-as"),
    ("Microsoft-Windows-Bits-Client/Operational", "windows//bits-client"),
    ("Microsoft-Windows-CodeIntegrity/Operational", "windows//codeintegrity-operational"),
    ("Microsoft-Windows-AppLocker/EXE and DLL", "windows//applocker"),
    ("Microsoft-Windows-AppLocker/MSI and Script", "windows//applocker"),
    ("Microsoft-Windows-AppLocker/Packaged app-Deployment", "windows//applocker"),
    ("Microsoft-Windows-AppLocker/Packaged app-Execution", "windows//applocker"),
    ("Microsoft-Windows-NTLM/Operational", "windows//ntlm"),
    ("Microsoft-Windows-DHCP-Server/Operational", "windows//dhcp"),
    ("Microsoft-Windows-PrintService/Admin", "windows//printservice-admin"),
    ("Microsoft-Windows-PrintService/Operational", "windows//printservice-operational"),
    ("Microsoft-Windows-SmbClient/Security", "windows//smbclient-security"),
    ("Microsoft-Windows-SmbClient/Connectivity", "windows//smbclient-connectivity"),
    ("Microsoft-Windows-SMBServer/Connectivity", "windows//smbserver-connectivity"),
    (
        "Microsoft-Windows-TerminalServices-LocalSessionManager/Operational",
        "windows//terminalservices-localsessionmanager",
    ),
    ("MSExchange Management", "windows//msexchange-management"),
    // As Windows has them, and as Sigma spells them.
    ("Microsoft-Windows-Security-Mitigations/KernelMode", "windows//security-mitigations"),
    ("Microsoft-Windows-Security-Mitigations/UserMode", "windows//security-mitigations"),
    ("Microsoft-Windows-Security-Mitigations/Kernel Mode", "windows//security-mitigations"),
    ("Microsoft-Windows-Security-Mitigations/User Mode", "windows//security-mitigations"),
    ("Microsoft-Windows-Diagnosis-Scripted/Operational", "windows//diagnosis-scripted"),
    ("Microsoft-Windows-Shell-Core/Operational", "windows//shell-core"),
    ("OpenSSH/Operational", "windows//openssh"),
    ("Microsoft-Windows-LDAP-Client/Debug", "windows//ldap"),
    ("Microsoft-Windows-BitLocker/BitLocker Management", "windows//bitlocker"),
    ("Microsoft-Windows-VHDMP-Operational", "windows//vhdmp"),
    ("Microsoft-Windows-VHDMP/Operational", "windows//vhdmp"),
    ("Microsoft-Windows-AppXDeploymentServer/Operational", "windows//appxdeployment-server"),
    ("Microsoft-Windows-AppxPackaging/Operational", "windows//appxpackaging-om"),
    ("Microsoft-Windows-AppModel-Runtime/Admin", "windows//appmodel-runtime"),
    ("Microsoft-Windows-LSA/Operational", "windows//lsa-server"),
    ("Microsoft-Windows-DNS Client Events/Operational", "windows//dns-client"),
    ("Microsoft-Windows-DNS-Client/Operational", "windows//dns-client"),
    ("DNS Server", "windows//dns-server"),
    ("Microsoft-Windows-DNS-Server/Analytical", "windows//dns-server-analytic"),
    ("Microsoft-Windows-DNSServer/Analytical", "windows//dns-server-analytic"),
    ("Microsoft-Windows-DNS-Server/Audit", "windows//dns-server-audit"),
    ("Microsoft-Windows-DNSServer/Audit", "windows//dns-server-audit"),
    ("Microsoft-Windows-CAPI2/Operational", "windows//capi2"),
    (
        "Microsoft-Windows-CertificateServicesClient-Lifecycle-System/Operational",
        "windows//certificateservicesclient-lifecycle-system",
    ),
    ("Microsoft-Windows-Kernel-ShimEngine/Operational", "windows//kernel-shimengine"),
    ("Microsoft-Windows-Kernel-ShimEngine/Diagnostic", "windows//kernel-shimengine"),
    (
        "Microsoft-Windows-Application-Experience/Program-Telemetry",
        "windows//application-experience",
    ),
    (
        "Microsoft-Windows-Application-Experience/Program-Compatibility-Assistant",
        "windows//application-experience",
    ),
    ("Microsoft-Windows-Ntfs/Operational", "windows//ntfs"),
    ("Microsoft-Windows-Hyper-V-Worker", "windows//hyper-v-worker"),
    ("Microsoft-Windows-Hyper-V-Worker-Admin", "windows//hyper-v-worker"),
    ("Microsoft-Windows-Kernel-EventTracing", "windows//kernel-event-tracing"),
    ("Microsoft-Windows-Kernel-EventTracing/Admin", "windows//kernel-event-tracing"),
    ("Microsoft-Windows-Kernel-File/Analytic", KERNEL_FILE),
    (RPC_FIREWALL_CHANNEL, RPC_FIREWALL),
    ("Microsoft-Windows-SENSE/Operational", "windows//sense"),
    ("Microsoft-ServiceBus-Client/Admin", "windows//servicebus-client"),
    ("Microsoft-ServiceBus-Client/Operational", "windows//servicebus-client"),
    ("Microsoft-ServiceBus-Client/Admin", "windows//microsoft-servicebus-client"),
    ("Microsoft-ServiceBus-Client/Operational", "windows//microsoft-servicebus-client"),
    ("Microsoft-IIS-Configuration/Operational", "windows//iis-configuration"),
    ("Microsoft-Windows-DriverFrameworks-UserMode/Operational", "windows//driver-framework"),
];

/// Service, event id, event type (empty: any) and category.
const CATEGORIES: &[(&str, i64, &str, &str)] = &[
    (SYSMON, 1, "", "windows/process_creation/"),
    (SYSMON, 2, "", "windows/file_change/"),
    (SYSMON, 3, "", "windows/network_connection/"),
    (SYSMON, 4, "", "windows/sysmon_status/"),
    (SYSMON, 5, "", "windows/process_termination/"),
    (SYSMON, 6, "", "windows/driver_load/"),
    (SYSMON, 7, "", "windows/image_load/"),
    (SYSMON, 8, "", "windows/create_remote_thread/"),
    (SYSMON, 9, "", "windows/raw_access_thread/"),
    (SYSMON, 10, "", "windows/process_access/"),
    (SYSMON, 11, "", "windows/file_event/"),
    (SYSMON, 12, "", "windows/registry_event/"),
    (SYSMON, 12, "CreateKey", "windows/registry_add/"),
    (SYSMON, 12, "DeleteKey", "windows/registry_delete/"),
    (SYSMON, 12, "DeleteValue", "windows/registry_delete/"),
    (SYSMON, 13, "", "windows/registry_event/"),
    (SYSMON, 13, "", "windows/registry_set/"),
    (SYSMON, 14, "", "windows/registry_event/"),
    (SYSMON, 14, "", "windows/registry_rename/"),
    (SYSMON, 15, "", "windows/create_stream_hash/"),
    (SYSMON, 16, "", "windows/sysmon_status/"),
    (SYSMON, 17, "", "windows/pipe_created/"),
    (SYSMON, 18, "", "windows/pipe_created/"),
    (SYSMON, 19, "", "windows/wmi_event/"),
    (SYSMON, 20, "", "windows/wmi_event/"),
    (SYSMON, 21, "", "windows/wmi_event/"),
    (SYSMON, 22, "", "windows/dns_query/"),
    (SYSMON, 23, "", "windows/file_delete/"),
    (SYSMON, 24, "", "windows/clipboard_change/"),
    (SYSMON, 25, "", "windows/process_tampering/"),
    (SYSMON, 26, "", "windows/file_delete_detected/"),
    (SYSMON, 26, "", "windows/file_delete/"),
    (SYSMON, 27, "", "windows/file_block_executable/"),
    (SYSMON, 28, "", "windows/file_block_shredding/"),
    (SYSMON, 29, "", "windows/file_executable_detected/"),
    (SYSMON, 255, "", "windows/sysmon_error/"),
    (KERNEL_FILE, 12, "", "windows/file_access/"),
    (KERNEL_FILE, 15, "", "windows/file_access/"),
    (KERNEL_FILE, 16, "", "windows/file_access/"),
    (KERNEL_FILE, 19, "", "windows/file_rename/"),
    (KERNEL_FILE, 27, "", "windows/file_rename/"),
    (KERNEL_FILE, 18, "", "windows/file_delete/"),
    (KERNEL_FILE, 26, "", "windows/file_delete/"),
    (KERNEL_FILE, 30, "", "windows/file_event/"),
    (SECURITY, PROCESS_CREATED, "", "windows/process_creation/"),
    ("windows//powershell", 4103, "", "windows/ps_module/"),
    ("windows//powershell", 4104, "", "windows/ps_script/"),
    ("windows//powershell-classic", 400, "", "windows/ps_classic_start/"),
    ("windows//powershell-classic", 600, "", "windows/ps_classic_provider_start/"),
    ("windows//powershell-classic", 800, "", "windows/ps_classic_script/"),
];

/// ECS's category and type of an event of a class.
const KINDS: &[(&str, &str, &str)] = &[
    ("windows/process_creation/", "process", "start"),
    ("windows/process_termination/", "process", "end"),
    ("windows/process_access/", "process", "access"),
    ("windows/process_tampering/", "process", "change"),
    ("windows/create_remote_thread/", "process", "change"),
    ("windows/ps_script/", "process", "info"),
    ("windows/ps_module/", "process", "info"),
    ("windows/network_connection/", "network", "connection"),
    ("windows/dns_query/", "network", "protocol"),
    ("windows/image_load/", "library", "start"),
    ("windows/driver_load/", "driver", "start"),
    ("windows/file_event/", "file", "creation"),
    ("windows/create_stream_hash/", "file", "creation"),
    ("windows/file_change/", "file", "change"),
    ("windows/file_rename/", "file", "change"),
    ("windows/file_access/", "file", "access"),
    ("windows/file_delete/", "file", "deletion"),
    ("windows/registry_add/", "registry", "creation"),
    ("windows/registry_set/", "registry", "change"),
    ("windows/registry_rename/", "registry", "change"),
    ("windows/registry_delete/", "registry", "deletion"),
    ("windows/antivirus/", "malware", "info"),
];

/// Defender's events about a threat.
const THREATS: &[i64] = &[1006, 1007, 1008, 1009, 1010, 1011, 1012, 1017, 1018, 1019, 1115, 1116];

const CHANNEL_PATHS: &[&str] = &[
    "Event.System.Channel",
    "winlog.channel",
    "Channel",
    "channel",
    "System.Channel",
    "LogName",
    "log_name",
];
const EVENT_TYPE_PATHS: &[&str] = &[
    "Event.EventData.EventType",
    "winlog.event_data.EventType",
    "EventData.EventType",
    "EventType",
];
/// Fields that only Sysmon writes.
const SYSMON_PATHS: &[&str] =
    &["ProcessGuid", "SourceProcessGUID", "Image", "UtcTime", "TargetObject"];

impl Parser for Windows {
    fn name(&self) -> &'static str {
        "windows"
    }

    fn parse(&self, reading: &mut Reading<'_>) -> bool {
        let is_xml = xml::take(reading);
        if !is_xml && !reading.is_json {
            return false;
        }
        let Some(id) = event_id(reading) else { return false };
        let channel = CHANNEL_PATHS.iter().find_map(|path| reading.sent_str(path));
        let services: Vec<_> = match channel {
            Some(channel) => CHANNELS
                .iter()
                .filter(|(name, _)| name.eq_ignore_ascii_case(channel))
                .map(|(_, service)| *service)
                .collect(),
            None => match service_of_provider(reading, id) {
                Some(service) => vec![service],
                None if is_xml => Vec::new(),
                None => return false,
            },
        };
        if services.is_empty() {
            // A channel of nobody's rules is still Windows, if it is named as such.
            let is_windows =
                is_xml || channel.is_some_and(|channel| channel.starts_with("Microsoft-"));
            if is_windows {
                reading.retract_class(SYSLOG);
                reading.add_class("windows//");
                data::name_plainly(reading);
                process::name(reading, false);
            }
            return is_windows;
        }
        data::name_plainly(reading);
        if services.contains(&SECURITY) {
            account::name_security(reading, id);
        }
        process::name(reading, id == PROCESS_CREATED && services.contains(&SECURITY));
        name_dataset(reading, services[0]);
        for service in services {
            reading.add_class(service);
            classify(reading, service, id);
            if service == SYSMON {
                data::name_hashes(reading, id);
                account::split_domain(reading);
            }
            if service == RPC_FIREWALL {
                let (path, channel) =
                    (reading.keep("EventLog"), reading.keep(RPC_FIREWALL_CHANNEL));
                reading.push(path, Held::Text(channel), FieldOptions::default());
            }
        }
        true
    }
}

/// Names the kind of log by the service of its channel, where the record does not say. What NXLog and others send as
/// the text of syslog is no line of Linux.
fn name_dataset(reading: &mut Reading<'_>, service: &str) {
    let is_sent_by_syslog = reading.has_class(SYSLOG);
    if is_sent_by_syslog {
        reading.retract_class(SYSLOG);
    }
    let name = service.rsplit('/').next().unwrap_or_default();
    let is_named = !reading.dataset().is_empty();
    if (!is_named || is_sent_by_syslog && reading.dataset() == "syslog") && !name.is_empty() {
        let dataset = reading.keep_with(|scratch| {
            scratch.push_str("windows.");
            scratch.push_str(name);
        });
        reading.set_dataset(dataset);
    }
}

fn classify(reading: &mut Reading<'_>, service: &'static str, id: i64) {
    let kind = EVENT_TYPE_PATHS.iter().find_map(|path| reading.sent_str(path)).unwrap_or_default();
    let of_event = || CATEGORIES.iter().filter(|(of, number, ..)| *of == service && *number == id);
    // Some shippers drop the type or put another under its name: the event may be of any kind then.
    let is_kind_known =
        !kind.is_empty() && of_event().any(|(_, _, wanted, _)| wanted.eq_ignore_ascii_case(kind));
    let found: Vec<_> = of_event()
        .filter(|(_, _, wanted, _)| {
            wanted.is_empty() || !is_kind_known || wanted.eq_ignore_ascii_case(kind)
        })
        .map(|(.., category)| *category)
        .collect();
    for category in found {
        reading.add_class(category);
    }
    if service == "windows//windefend" && THREATS.contains(&id) {
        reading.add_class("windows/antivirus/");
        reading.add_class("/antivirus/");
    }
    if service == SECURITY {
        account::settle_sign_in(reading, id);
        account::settle_audit(reading);
    }
    name_category(reading);
}

/// Adds what ECS calls such an event, where the sender does not say.
fn name_category(reading: &mut Reading<'_>) {
    let known = KINDS.iter().find(|(class, ..)| reading.has_class(class));
    let Some((_, category, kind)) = known else { return };
    if reading.first(standard::EVENT_CATEGORY).is_none() {
        reading.add_text("event.category", category);
        reading.add_text("event.type", kind);
    }
}

fn event_id(reading: &Reading<'_>) -> Option<i64> {
    match reading.first(standard::EVENT_CODE)? {
        Held::Signed(id) => Some(id),
        Held::Text(text) => reading.str(text).parse().ok(),
        _ => None,
    }
}

/// The service of an event without a channel: by its provider, or Sysmon's by fields that only Sysmon
/// writes.
fn service_of_provider(reading: &Reading<'_>, id: i64) -> Option<&'static str> {
    let provider = ["Provider_Name", "SourceName", "Event.System.Provider.#attributes.Name"]
        .into_iter()
        .find_map(|path| reading.sent_str(path));
    match provider {
        Some("Microsoft-Windows-Sysmon") => Some(SYSMON),
        Some("Microsoft-Windows-Kernel-File") => Some(KERNEL_FILE),
        Some(_) => None,
        None => {
            let is_sysmon = (1..=29).contains(&id)
                && SYSMON_PATHS.iter().any(|path| reading.sent(path).is_some());
            is_sysmon.then_some(SYSMON)
        }
    }
}
