//! Providers of identities (OpenID Connect): people sign in with theirs, programs bring its tokens.
//!
//! People: authorization code flow with PKCE, state and nonce; the provider's groups decide the role.
//! Programs: JWTs of the client-credentials flow, whose issuer, audience, time and algorithm are
//! checked here (`machine.rs`). What is known of a provider, its keys too, is read when it is first
//! needed, every [`REFRESH_INTERVAL`], and when a token names a key nobody has heard of.

mod flow;
mod http_client;
mod machine;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use logwarden_event::Clock;
use logwarden_store::identity::{ExternalProgram, Roles};
use logwarden_store::{Secret, SecretRef};
use openidconnect::IssuerUrl;
use openidconnect::core::CoreProviderMetadata;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub(crate) use flow::{FlowError, Person};
use http_client::HttpClient;

/// How often keys and addresses of a provider are read again.
const REFRESH_INTERVAL: Duration = Duration::from_secs(300);
/// Least time between two attempts, so that tokens with made-up keys cost the provider nothing.
const REFRESH_PAUSE: Duration = Duration::from_secs(2);
/// Providers.
const PROVIDERS_MAX: usize = 16;

/// A provider, as it is configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// What the button says: "Continue with …". Letters, digits and `-`.
    pub name: String,
    /// Its issuer, as its discovery document gives it.
    pub issuer: String,
    /// What it calls us.
    pub client_id: String,
    /// What we prove that with. Default: none, for a public client.
    pub client_secret: Option<SecretRef>,
    /// An authority of your own for its certificate. Default: the system's.
    pub ca: Option<PathBuf>,
    /// `http://` is allowed. Default false.
    #[serde(default)]
    pub allow_http: bool,
    /// Asked for besides `openid`. Default `profile`, `email`.
    #[serde(default = "scopes_default")]
    pub scopes: Vec<String>,
    /// The claim that is the user's name here. Default `preferred_username`.
    #[serde(default = "name_claim_default")]
    pub name_claim: String,
    /// The claim that lists groups. Default `groups`.
    #[serde(default = "groups_claim_default")]
    pub groups_claim: String,
    /// Groups and the role that each gives; the first that fits decides. Nobody else may sign in.
    #[serde(default)]
    pub roles: Vec<GroupRole>,
    /// The audience that tokens of programs must name. Default: programs bring none.
    pub audience: Option<String>,
    /// Programs that may bring tokens.
    #[serde(default)]
    pub programs: Vec<ProgramConfig>,
}

/// A role that a group gives.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupRole {
    /// The group, as the provider calls it.
    pub group: String,
    /// The role.
    pub role: String,
}

/// A program known to a provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramConfig {
    /// Its `client_id` at the provider, and its name here.
    pub client: String,
    /// Its role.
    pub role: String,
    /// The only source it writes as or sees. Default: its own name, or all.
    pub source: Option<String>,
}

fn scopes_default() -> Vec<String> {
    vec!["profile".to_owned(), "email".to_owned()]
}

fn name_claim_default() -> String {
    "preferred_username".to_owned()
}

fn groups_claim_default() -> String {
    "groups".to_owned()
}

impl ProviderConfig {
    /// Checks it against the roles there are.
    ///
    /// # Errors
    ///
    /// What is wrong, with the key.
    pub fn check(&self, roles: &Roles) -> Result<(), String> {
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        if self.name.is_empty() || !self.name.chars().all(is_letter) {
            return Err("name: letters, digits and `-`".to_owned());
        }
        let issuer = url::Url::parse(&self.issuer).map_err(|error| format!("issuer: {error}"))?;
        match issuer.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            _ => return Err("issuer: `https://` is needed, or `allow_http = true`".to_owned()),
        }
        let named = self.roles.iter().map(|given| &given.role);
        let mut named = named.chain(self.programs.iter().map(|program| &program.role));
        if let Some(role) = named.find(|role| roles.get(role).is_none()) {
            return Err(format!("there is no role `{role}`"));
        }
        if !self.programs.is_empty() && self.audience.is_none() {
            return Err("programs: they need an `audience`".to_owned());
        }
        Ok(())
    }
}

/// Why providers cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// A secret or a certificate cannot be read.
    #[error("oidc `{name}`: {reason}")]
    Unusable {
        /// Which provider.
        name: String,
        /// Why.
        reason: String,
    },
    /// There are too many, or two of one name.
    #[error("oidc: at most {PROVIDERS_MAX} providers, each with a name of its own")]
    Names,
}

/// Every provider.
pub struct Providers {
    list: Vec<Arc<Provider>>,
    clock: Arc<dyn Clock>,
}

/// One provider and what is known of it.
pub(crate) struct Provider {
    config: ProviderConfig,
    issuer: IssuerUrl,
    client_secret: Option<Secret<String>>,
    http: HttpClient,
    known: RwLock<Option<Arc<CoreProviderMetadata>>>,
    /// When it was asked last; held while it is asked.
    asked_at: tokio::sync::Mutex<Option<Instant>>,
}

impl Providers {
    /// Reads secrets and certificates; asks nobody yet.
    ///
    /// # Errors
    ///
    /// [`ProviderError`] when one of them cannot be read.
    pub fn new(
        configs: Vec<ProviderConfig>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, ProviderError> {
        let names: std::collections::BTreeSet<_> = configs.iter().map(|one| &one.name).collect();
        if names.len() < configs.len() || configs.len() > PROVIDERS_MAX {
            return Err(ProviderError::Names);
        }
        let list = configs.into_iter().map(|config| Provider::new(config).map(Arc::new));
        Ok(Arc::new(Self { list: list.collect::<Result<_, _>>()?, clock }))
    }

    /// Keeps what is known fresh until `shutdown`.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        loop {
            for provider in &self.list {
                if let Err(error) = provider.refresh().await {
                    warn!(provider = %provider.config.name, "{error}");
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(REFRESH_INTERVAL) => {}
            }
        }
    }

    /// Whose token this is, by the keys that are known now.
    pub fn program(&self, token: &str) -> Option<ExternalProgram> {
        let now = self.clock.now();
        self.list.iter().find_map(|provider| {
            let known = provider.known()?;
            machine::program(&provider.config, &known, token, now).ok()
        })
    }

    /// Sees to it that the key of a token is known, if its provider has it: asks when it is not.
    pub(crate) async fn prepare(&self, token: &str) {
        let Some(header) = machine::header(token) else { return };
        for provider in &self.list {
            let is_wanted = provider.config.audience.is_some();
            let has_key = provider.known().is_some_and(|known| machine::has_key(&known, &header));
            if is_wanted
                && !has_key
                && let Err(error) = provider.refresh().await
            {
                warn!(provider = %provider.config.name, "{error}");
            }
        }
    }

    /// The names, in the order of the configuration.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let people = self.list.iter().filter(|provider| !provider.config.roles.is_empty());
        people.map(|provider| provider.config.name.as_str())
    }

    /// The provider of this name at which people sign in.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Provider>> {
        let mut people = self.list.iter().filter(|provider| !provider.config.roles.is_empty());
        people.find(|provider| provider.config.name == name).cloned()
    }
}

impl Provider {
    fn new(config: ProviderConfig) -> Result<Self, ProviderError> {
        let unusable =
            |reason: String| ProviderError::Unusable { name: config.name.clone(), reason };
        let issuer = IssuerUrl::new(config.issuer.clone());
        let issuer = issuer.map_err(|error| unusable(format!("issuer: {error}")))?;
        let secret = config.client_secret.as_ref().map(SecretRef::resolve).transpose();
        let client_secret = secret.map_err(|error| unusable(format!("client_secret: {error}")))?;
        let http = HttpClient::new(config.ca.as_deref(), config.allow_http).map_err(unusable)?;
        Ok(Self {
            issuer,
            client_secret,
            http,
            known: RwLock::default(),
            asked_at: tokio::sync::Mutex::default(),
            config,
        })
    }

    fn known(&self) -> Option<Arc<CoreProviderMetadata>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is known of it, or asks.
    async fn metadata(&self) -> Result<Arc<CoreProviderMetadata>, FlowError> {
        if let Some(known) = self.known() {
            return Ok(known);
        }
        self.refresh().await?;
        self.known().ok_or(FlowError::Unreachable)
    }

    /// Reads its addresses and keys, unless that was done just now. What was known stays when it
    /// does not answer.
    async fn refresh(&self) -> Result<(), FlowError> {
        let mut asked_at = self.asked_at.lock().await;
        if asked_at.is_some_and(|at| at.elapsed() < REFRESH_PAUSE) {
            return Ok(());
        }
        *asked_at = Some(Instant::now());
        let found = CoreProviderMetadata::discover_async(self.issuer.clone(), &self.http).await;
        let found = found.map_err(|error| {
            warn!(provider = %self.config.name, "the provider cannot be asked: {error}");
            FlowError::Unreachable
        })?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            info!(provider = %self.config.name, "the provider of identities is known");
        }
        *known = Some(Arc::new(found));
        Ok(())
    }
}
