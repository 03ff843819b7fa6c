//! Every logsource that SigmaHQ's rules for Windows name, and an event of each in raw nested JSON.

use serde_json::json;

use super::event;

const SYSMON: &str = "Microsoft-Windows-Sysmon/Operational";
const POWERSHELL: &str = "Microsoft-Windows-PowerShell/Operational";
const CLASSIC: &str = "Windows PowerShell";
const KERNEL_FILE: &str = "Microsoft-Windows-Kernel-File/Analytic";
const DEFENDER: &str = "Microsoft-Windows-Windows Defender/Operational";

/// Category or, after a slash, service of the rules; channel, number and type of an event.
const LOGSOURCES: &[(&str, &str, u16, &str)] = &[
    ("process_creation", SYSMON, 1, ""),
    ("process_creation", "Security", 4688, ""),
    ("file_change", SYSMON, 2, ""),
    ("network_connection", SYSMON, 3, ""),
    ("sysmon_status", SYSMON, 4, ""),
    ("process_termination", SYSMON, 5, ""),
    ("driver_load", SYSMON, 6, ""),
    ("image_load", SYSMON, 7, ""),
    ("create_remote_thread", SYSMON, 8, ""),
    ("raw_access_thread", SYSMON, 9, ""),
    ("process_access", SYSMON, 10, ""),
    ("file_event", SYSMON, 11, ""),
    ("registry_event", SYSMON, 12, "CreateKey"),
    ("registry_add", SYSMON, 12, "CreateKey"),
    ("registry_delete", SYSMON, 12, "DeleteKey"),
    ("registry_delete", SYSMON, 12, "DeleteValue"),
    ("registry_add", SYSMON, 12, "INFO"),
    ("registry_delete", SYSMON, 12, ""),
    ("registry_event", SYSMON, 13, "SetValue"),
    ("registry_set", SYSMON, 13, "SetValue"),
    ("registry_event", SYSMON, 14, "RenameKey"),
    ("registry_rename", SYSMON, 14, "RenameKey"),
    ("create_stream_hash", SYSMON, 15, ""),
    ("sysmon_status", SYSMON, 16, ""),
    ("pipe_created", SYSMON, 17, "CreatePipe"),
    ("pipe_created", SYSMON, 18, "ConnectPipe"),
    ("wmi_event", SYSMON, 19, "WmiFilterEvent"),
    ("wmi_event", SYSMON, 20, "WmiConsumerEvent"),
    ("wmi_event", SYSMON, 21, "WmiBindingEvent"),
    ("dns_query", SYSMON, 22, ""),
    ("file_delete", SYSMON, 23, ""),
    ("clipboard_change", SYSMON, 24, ""),
    ("process_tampering", SYSMON, 25, ""),
    ("file_delete_detected", SYSMON, 26, ""),
    ("file_block_executable", SYSMON, 27, ""),
    ("file_block_shredding", SYSMON, 28, ""),
    ("file_executable_detected", SYSMON, 29, ""),
    ("sysmon_error", SYSMON, 255, ""),
    ("/sysmon", SYSMON, 1, ""),
    ("file_access", KERNEL_FILE, 12, ""),
    ("file_rename", KERNEL_FILE, 27, ""),
    ("ps_module", POWERSHELL, 4103, ""),
    ("ps_script", POWERSHELL, 4104, ""),
    ("ps_script", "PowerShellCore/Operational", 4104, ""),
    ("/powershell", POWERSHELL, 4104, ""),
    ("ps_classic_start", CLASSIC, 400, ""),
    ("ps_classic_provider_start", CLASSIC, 600, ""),
    ("ps_classic_script", CLASSIC, 800, ""),
    ("/powershell-classic", CLASSIC, 400, ""),
    ("antivirus", DEFENDER, 1116, ""),
    ("/windefend", DEFENDER, 5007, ""),
    ("/security", "Security", 4625, ""),
    ("/system", "System", 7045, ""),
    ("/application", "Application", 1000, ""),
    ("/applocker", "Microsoft-Windows-AppLocker/EXE and DLL", 8004, ""),
    ("/applocker", "Microsoft-Windows-AppLocker/MSI and Script", 8007, ""),
    ("/appmodel-runtime", "Microsoft-Windows-AppModel-Runtime/Admin", 201, ""),
    ("/appxdeployment-server", "Microsoft-Windows-AppXDeploymentServer/Operational", 854, ""),
    ("/appxpackaging-om", "Microsoft-Windows-AppxPackaging/Operational", 157, ""),
    ("/bits-client", "Microsoft-Windows-Bits-Client/Operational", 16403, ""),
    ("/capi2", "Microsoft-Windows-CAPI2/Operational", 70, ""),
    (
        "/certificateservicesclient-lifecycle-system",
        "Microsoft-Windows-CertificateServicesClient-Lifecycle-System/Operational",
        1007,
        "",
    ),
    ("/codeintegrity-operational", "Microsoft-Windows-CodeIntegrity/Operational", 3077, ""),
    ("/diagnosis-scripted", "Microsoft-Windows-Diagnosis-Scripted/Operational", 101, ""),
    ("/dns-client", "Microsoft-Windows-DNS Client Events/Operational", 3008, ""),
    ("/dns-client", "Microsoft-Windows-DNS-Client/Operational", 3008, ""),
    ("/dns-server", "DNS Server", 150, ""),
    ("/dns-server-analytic", "Microsoft-Windows-DNS-Server/Analytical", 257, ""),
    ("/driver-framework", "Microsoft-Windows-DriverFrameworks-UserMode/Operational", 2003, ""),
    (
        "/firewall-as",
        "Microsoft-Windows-Windows Firewall With Advanced Security/Firewall",
        2097,
        "",
    ),
    ("/iis-configuration", "Microsoft-IIS-Configuration/Operational", 29, ""),
    ("/ldap", "Microsoft-Windows-LDAP-Client/Debug", 30, ""),
    ("/lsa-server", "Microsoft-Windows-LSA/Operational", 300, ""),
    ("/microsoft-servicebus-client", "Microsoft-ServiceBus-Client/Admin", 40300, ""),
    ("/servicebus-client", "Microsoft-ServiceBus-Client/Operational", 40300, ""),
    ("/msexchange-management", "MSExchange Management", 6, ""),
    ("/ntlm", "Microsoft-Windows-NTLM/Operational", 8001, ""),
    ("/openssh", "OpenSSH/Operational", 4, ""),
    ("/printservice-admin", "Microsoft-Windows-PrintService/Admin", 808, ""),
    ("/printservice-operational", "Microsoft-Windows-PrintService/Operational", 316, ""),
    ("/security-mitigations", "Microsoft-Windows-Security-Mitigations/Kernel Mode", 11, ""),
    ("/security-mitigations", "Microsoft-Windows-Security-Mitigations/User Mode", 12, ""),
    ("/shell-core", "Microsoft-Windows-Shell-Core/Operational", 28115, ""),
    ("/smbclient-connectivity", "Microsoft-Windows-SmbClient/Connectivity", 30803, ""),
    ("/smbclient-security", "Microsoft-Windows-SmbClient/Security", 31017, ""),
    ("/smbserver-connectivity", "Microsoft-Windows-SMBServer/Connectivity", 1009, ""),
    ("/taskscheduler", "Microsoft-Windows-TaskScheduler/Operational", 141, ""),
    (
        "/terminalservices-localsessionmanager",
        "Microsoft-Windows-TerminalServices-LocalSessionManager/Operational",
        21,
        "",
    ),
    ("/wmi", "Microsoft-Windows-WMI-Activity/Operational", 5861, ""),
    ("/dhcp", "Microsoft-Windows-DHCP-Server/Operational", 1031, ""),
    ("/bitlocker", "Microsoft-Windows-BitLocker/BitLocker Management", 778, ""),
    ("/vhdmp", "Microsoft-Windows-VHDMP/Operational", 1, ""),
    ("/kernel-shimengine", "Microsoft-Windows-Kernel-ShimEngine/Operational", 4, ""),
    (
        "/application-experience",
        "Microsoft-Windows-Application-Experience/Program-Telemetry",
        505,
        "",
    ),
    ("/ntfs", "Microsoft-Windows-Ntfs/Operational", 98, ""),
    ("/hyper-v-worker", "Microsoft-Windows-Hyper-V-Worker-Admin", 18596, ""),
    ("/kernel-event-tracing", "Microsoft-Windows-Kernel-EventTracing/Admin", 3, ""),
    ("/sense", "Microsoft-Windows-SENSE/Operational", 84, ""),
];

#[test]
fn an_event_of_every_logsource_has_its_class() {
    let mut wrong = Vec::new();
    for (logsource, channel, number, kind) in LOGSOURCES {
        let qualified = json!({"#attributes": {"Qualifiers": 16384}, "#text": number});
        for id in [json!(number), json!(number.to_string()), qualified] {
            let record = json!({"Event": {
                "#attributes": {"xmlns": "http://schemas.microsoft.com/win/2004/08/events/event"},
                "System": {"Provider": {"#attributes": {"Name": "Microsoft-Windows-Any"}},
                    "EventID": id, "Channel": channel, "Computer": "pc-1.corp.example",
                    "TimeCreated": {"#attributes": {"SystemTime": "2026-01-02T03:04:05.678901Z"}}},
                "EventData": {"EventType": kind, "User": "CORP\\alice"},
            }});
            let wanted = match logsource.strip_prefix('/') {
                Some(service) => format!("windows//{service}"),
                None => format!("windows/{logsource}/"),
            };
            let event = event(&record.to_string());
            let class = event.class();
            if !class.as_str().split(';').any(|tuple| tuple == wanted) {
                wrong.push(format!("{channel} {number}: {} without {wanted}", class.as_str()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
