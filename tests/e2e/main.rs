//! Stories against the real binary on loopback: what a person, a sender and a receiver see.

#[path = "../harness/certificates.rs"]
mod certificates;
#[path = "../harness/mod.rs"]
mod harness;
#[path = "../harness/hook.rs"]
mod hook;
#[path = "../harness/mail.rs"]
mod mail;
#[path = "../harness/programs.rs"]
mod programs;
#[path = "../harness/rsyslog.rs"]
mod rsyslog;
#[path = "../harness/sshd.rs"]
mod sshd;

mod clients;
mod command_line;
mod delivery;
mod first_day;
mod first_run;
mod hostile;
mod inputs;
mod kills;
mod load;
mod mutual_tls;
mod oidc;
mod passkeys;
mod receivers;
mod rules;
mod schema;
mod secrets;
mod senders;
mod signals;
mod sources;
mod troubles;
mod vault;
mod windows_fields;
