// A provider of identities (oidc-provider) for the tests. Its folder of modules is the first argument.
//
// It prints its issuer. Besides the standard's own paths it has: POST /test/as?user=NAME (who signs in next),
// /test/redirect?url=URL (where our client comes back to), /test/rotate (new keys), and GET /test/forge?kind=KIND
// (a token of the client `shipper` that is wrong in one way, or in none: `good`).
import { createRequire } from 'node:module';
import { createHmac, createPublicKey } from 'node:crypto';
import { createServer } from 'node:http';
import { join } from 'node:path';

const modules = createRequire(join(process.argv[2], 'package.json'));
const { Provider } = await import(modules.resolve('oidc-provider'));
const jose = await import(modules.resolve('jose'));

const AUDIENCE = 'https://logs.example';
const GROUPS = { ana: ['staff', 'soc'], ben: ['shop-team'], eve: ['visitors'] };

let user = 'ana';
let redirect = 'http://127.0.0.1:1/none';
let generation = 0;
let issuer, key, provider;

async function new_key() {
  generation += 1;
  const { privateKey } = await jose.generateKeyPair('RS256', { extractable: true });
  key = { ...(await jose.exportJWK(privateKey)), kid: `key-${generation}`, use: 'sig', alg: 'RS256' };
  make();
}

function make() {
  provider = new Provider(issuer, {
    clients: [
      { client_id: 'logwarden', client_secret: 'a secret of the client', redirect_uris: [redirect] },
      { client_id: 'shipper', client_secret: 'a secret of the shipper', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] },
    ],
    jwks: { keys: [key] },
    cookies: { keys: ['of the tests'] },
    claims: { openid: ['sub'], profile: ['preferred_username', 'groups'], email: ['email'] },
    scopes: ['openid', 'profile', 'email', 'api'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({ scope: 'api', audience: resource, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } } }),
      },
    },
    interactions: { url: (_, { uid }) => `/test/interaction/${uid}` },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: `id-of-${id}`, preferred_username: id, groups: GROUPS[id] ?? [], email: `${id}@corp.example` }),
    }),
    ttl: { AccessToken: 600, IdToken: 600, ClientCredentials: 600, Interaction: 600, Session: 600, Grant: 600 },
  });
  // A listener that is asked for oddities answers on standard error, not on the test's pages.
  provider.on('server_error', (_, error) => console.error(error));
}

/** Signs in whoever is to be, and gives every scope that was asked for. */
async function interact(request, response) {
  const { prompt, params } = await provider.interactionDetails(request, response);
  if (user === 'nobody') {
    return provider.interactionFinished(request, response, { error: 'access_denied', error_description: 'not today' });
  }
  if (prompt.name === 'login') {
    return provider.interactionFinished(request, response, { login: { accountId: user } });
  }
  const grant = new provider.Grant({ accountId: user, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  const grantId = await grant.save();
  return provider.interactionFinished(request, response, { consent: { grantId } }, { mergeWithLastSubmission: true });
}

async function forge(kind) {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: issuer, aud: AUDIENCE, sub: 'shipper', client_id: 'shipper', iat: now, exp: now + 300 };
  const header = { alg: 'RS256', kid: key.kid, typ: 'at+jwt' };
  const changes = {
    good: {},
    expired: { iat: now - 900, exp: now - 300 },
    'no end': { exp: undefined },
    'not yet': { nbf: now + 300 },
    'made later': { iat: now + 300, exp: now + 600 },
    audience: { aud: 'https://other.example' },
    'no audience': { aud: undefined },
    issuer: { iss: 'https://evil.example' },
    program: { client_id: 'stranger', sub: 'stranger' },
  };
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const said = { ...claims, ...changes[kind] };
  if (kind in changes) {
    const text = new TextEncoder().encode(JSON.stringify(said));
    return new jose.CompactSign(text).setProtectedHeader(header).sign(await jose.importJWK(key, 'RS256'));
  }
  const unsigned = (alg) => `${part({ ...header, alg })}.${part(claims)}`;
  if (kind.startsWith('none')) return `${unsigned(kind)}.`;
  if (kind === 'another key') {
    const { privateKey } = await jose.generateKeyPair('RS256');
    return new jose.SignJWT(claims).setProtectedHeader(header).sign(privateKey);
  }
  if (kind === 'public key as secret') {
    const pem = createPublicKey({ key: { kty: 'RSA', n: key.n, e: key.e }, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
    const text = unsigned('HS256');
    return `${text}.${createHmac('sha256', pem).update(text).digest('base64url')}`;
  }
  if (kind === 'key of its own') {
    const { privateKey, publicKey } = await jose.generateKeyPair('RS256', { extractable: true });
    return new jose.SignJWT(claims).setProtectedHeader({ ...header, jwk: await jose.exportJWK(publicKey) }).sign(privateKey);
  }
  throw new Error(`nobody knows how to forge ${kind}`);
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, issuer);
  const [, test, what] = url.pathname.split('/');
  try {
    if (test !== 'test') return provider.callback()(request, response);
    if (what === 'interaction') return await interact(request, response);
    if (what === 'as') user = url.searchParams.get('user');
    if (what === 'rotate') await new_key();
    if (what === 'redirect') {
      redirect = url.searchParams.get('url');
      make();
    }
    response.end(what === 'forge' ? await forge(url.searchParams.get('kind')) : 'done');
  } catch (error) {
    console.error(error);
    response.statusCode = 500;
    response.end(String(error));
  }
});
server.listen(0, '127.0.0.1', async () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  await new_key();
  console.log(issuer);
});
