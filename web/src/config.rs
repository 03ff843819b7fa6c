//! What the operator can set for the API and the dashboard.

use std::path::PathBuf;

use ipnet::IpNet;

/// Settings of the HTTP API; the root reads them from the `[http]` table and `public_url`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// The address people use, such as `https://logs.example`; default none. When it is `https` and
    /// a request asks for this host, the connection counts as TLS (a proxy ended it).
    pub public_url: Option<String>,
    /// The address people use, or the one it listens on: where a provider sends them back to.
    pub own_url: String,
    /// Networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` count; default none.
    pub trusted_proxies: Vec<IpNet>,
    /// Where whoever finds a weakness of this installation writes to, a URL such as
    /// `mailto:security@example.org`; default none.
    pub security_contact: Option<String>,
    /// Where exports in the background are kept while this process runs.
    pub exports_dir: PathBuf,
}
