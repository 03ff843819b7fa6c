//! How a person signs in: there with a request, back with a code.

use logwarden_event::Timestamp;
use logwarden_store::identity::ExternalUser;
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreGenderClaim, CoreIdToken, CoreIdTokenClaims,
    CoreProviderMetadata,
};
use openidconnect::{
    AdditionalClaims, AuthorizationCode, ClientId, ClientSecret, CsrfToken, Nonce,
    OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, UserInfoClaims,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::warn;

use super::{Provider, machine};

/// Groups of a person that are looked at.
const GROUPS_MAX: usize = 1_000;

/// Where somebody is sent, and what must be remembered until they are back.
#[derive(Debug)]
pub(crate) struct Begun {
    /// The provider's page.
    pub(crate) url: url::Url,
    /// What it hands back unchanged.
    pub(crate) state: String,
    /// What its token must carry.
    pub(crate) nonce: String,
    /// What proves that we asked (PKCE).
    pub(crate) verifier: String,
}

/// Somebody whom the provider has signed in.
pub(crate) type Person = ExternalUser;

/// Why somebody is not signed in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FlowError {
    /// The provider does not answer, or not as one.
    #[error("the provider cannot be reached")]
    Unreachable,
    /// The code or the token is not what it should be.
    #[error("the provider's answer cannot be trusted")]
    Untrusted,
    /// The provider told no name.
    #[error("the provider tells no name")]
    NoName,
    /// No group of theirs has a role.
    #[error("no group has a role")]
    NoRole {
        /// What the provider calls them.
        subject: String,
    },
}

/// Every claim that is not one of the standard.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct AllClaims(Map<String, Value>);

impl AdditionalClaims for AllClaims {}

impl Provider {
    /// Begins to sign somebody in who is to come back to `redirect`.
    pub(crate) async fn begin(&self, redirect: &str) -> Result<Begun, FlowError> {
        let known = self.metadata().await?;
        let redirect = RedirectUrl::new(redirect.to_owned()).map_err(|_| FlowError::Unreachable)?;
        let client = self.client(&known).set_redirect_uri(redirect);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = client.authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            CsrfToken::new_random,
            Nonce::new_random,
        );
        for scope in &self.config.scopes {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        let (url, state, nonce) = request.set_pkce_challenge(challenge).url();
        Ok(Begun {
            url,
            state: state.secret().clone(),
            nonce: nonce.secret().clone(),
            verifier: verifier.secret().clone(),
        })
    }

    /// Who came back with `code`.
    pub(crate) async fn finish(
        &self,
        redirect: &str,
        code: String,
        verifier: String,
        nonce: String,
        now: Timestamp,
    ) -> Result<Person, FlowError> {
        let known = self.metadata().await?;
        let redirect = RedirectUrl::new(redirect.to_owned()).map_err(|_| FlowError::Unreachable)?;
        let client = self.client(&known).set_redirect_uri(redirect);
        let request = client.exchange_code(AuthorizationCode::new(code));
        let request = request.map_err(|error| self.untrusted(&error))?;
        let tokens = request
            .set_pkce_verifier(PkceCodeVerifier::new(verifier))
            .request_async(&self.http)
            .await
            .map_err(|error| self.untrusted(&error))?;
        let id_token = tokens.extra_fields().id_token().ok_or(FlowError::Untrusted)?;
        let nonce = Nonce::new(nonce);
        let claims = match self.verified(&known, id_token, &nonce) {
            Ok(claims) => claims,
            // Its key may be new.
            Err(_) => {
                self.refresh().await?;
                let known = self.metadata().await?;
                self.verified(&known, id_token, &nonce)?
            }
        };
        let subject = claims.subject().clone();
        // Verified above: what its middle part says is what the claims are.
        let mut all = machine::payload(&id_token.to_string()).ok_or(FlowError::Untrusted)?;
        let is_for_another =
            all.get("azp").is_some_and(|azp| azp.as_str() != Some(self.config.client_id.as_str()));
        if is_for_another || machine::check_begun(&all, now).is_err() {
            warn!(provider = %self.config.name, "nobody was signed in: the token is for another program, or of a later time");
            return Err(FlowError::Untrusted);
        }
        if known.userinfo_endpoint().is_some() {
            let request = client.user_info(tokens.access_token().clone(), Some(subject.clone()));
            let request = request.map_err(|error| self.untrusted(&error))?;
            let info: UserInfoClaims<AllClaims, CoreGenderClaim> =
                request.request_async(&self.http).await.map_err(|error| self.untrusted(&error))?;
            let info = serde_json::to_value(&info).map_err(|error| self.untrusted(&error))?;
            if let Value::Object(info) = info {
                // What is signed counts more.
                for (name, value) in info {
                    all.entry(name).or_insert(value);
                }
            }
        }
        self.person(subject.to_string(), &all)
    }

    fn verified(
        &self,
        known: &CoreProviderMetadata,
        id_token: &CoreIdToken,
        nonce: &Nonce,
    ) -> Result<CoreIdTokenClaims, FlowError> {
        let client = self.client(known);
        let verifier = client.id_token_verifier().set_allowed_algs(machine::ALGORITHMS);
        let claims = id_token.claims(&verifier, nonce).map_err(|error| self.untrusted(&error))?;
        Ok(claims.clone())
    }

    fn person(&self, subject: String, claims: &Map<String, Value>) -> Result<Person, FlowError> {
        let config = &self.config;
        let name = claims.get(&config.name_claim).and_then(Value::as_str);
        let name = name.filter(|name| !name.is_empty()).ok_or(FlowError::NoName)?;
        let groups: Vec<&str> = match claims.get(&config.groups_claim) {
            Some(Value::Array(groups)) => {
                groups.iter().take(GROUPS_MAX).filter_map(Value::as_str).collect()
            }
            Some(Value::String(group)) => vec![group],
            _ => Vec::new(),
        };
        let given = config.roles.iter().find(|given| groups.contains(&given.group.as_str()));
        let Some(given) = given else { return Err(FlowError::NoRole { subject }) };
        let role = given.role.clone();
        Ok(Person { provider: config.name.clone(), subject, name: name.to_owned(), role })
    }

    fn client(&self, known: &CoreProviderMetadata) -> KnownClient {
        CoreClient::from_provider_metadata(
            known.clone(),
            ClientId::new(self.config.client_id.clone()),
            self.client_secret.as_ref().map(|secret| ClientSecret::new(secret.expose().clone())),
        )
    }

    fn untrusted(&self, error: &dyn std::error::Error) -> FlowError {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        warn!(provider = %self.config.name, "nobody was signed in: {text}");
        FlowError::Untrusted
    }
}

/// A client whose addresses the provider told.
type KnownClient = CoreClient<
    openidconnect::EndpointSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointMaybeSet,
    openidconnect::EndpointMaybeSet,
>;
