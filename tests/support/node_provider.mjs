// An institution's identity provider: npm's oidc-provider, with token exchange (RFC 8693).
//
// node_oidc.py runs it as a process of its own, on a port that the system chooses. Its arguments are
// the path of the package's main module, and JSON with `secrets` (of each client) and `seconds`.

import { randomBytes, generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

const { default: Provider, errors } = await import(pathToFileURL(process.argv[2]).href);
const { secrets, seconds } = JSON.parse(process.argv[3]);
const { InvalidRequest, InvalidScope, InvalidTarget } = errors;

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

/** The accounts: what a person types at the login page, which is the `sub` of all tokens. */
const ACCOUNTS = { 'id-of-alice': 'alice', 'id-of-bob': 'bob' };
/** The services, and the scopes of each. */
const SERVICES = { trino: 'sql', payroll: 'salaries', 'https://reports.example.org': 'reports' };
/** The services for which a client may ask. */
const ALLOWED = { jupyter: ['trino', 'https://reports.example.org'], other: [] };

/** Each token and code that was given, and the account that it is about. */
const given = [];

function serviceOf(name, client) {
  if (!ALLOWED[client.clientId].includes(name)) throw new InvalidTarget();
  const jwt = { sign: { alg: 'RS256' } };
  const { service: accessTokenTTL } = seconds;
  return { audience: name, scope: SERVICES[name], accessTokenTTL, accessTokenFormat: 'jwt', jwt };
}

function findAccount(ctx, id) {
  const name = ACCOUNTS[id];
  return name && { accountId: id, claims: () => ({ sub: id, preferred_username: name }) };
}

/** Find the access token that is exchanged (RFC 8693, section 2.2.2: else `invalid_request`). */
async function subjectOf({ client, params, provider }) {
  if (params.subject_token_type !== ACCESS_TOKEN) {
    throw new InvalidRequest('subject_token_type is not supported');
  }
  if ((params.requested_token_type ?? ACCESS_TOKEN) !== ACCESS_TOKEN) {
    throw new InvalidRequest('requested_token_type is not supported');
  }
  if (params.actor_token !== undefined) throw new InvalidRequest('actor_token is not supported');
  const token = params.subject_token && (await provider.AccessToken.find(params.subject_token));
  if (!token || token.isExpired) throw new InvalidRequest('subject_token does not count');
  if (token.clientId !== client.clientId) {
    throw new InvalidRequest('subject_token was issued to another client');
  }
  const grant = await provider.Grant.find(token.grantId);
  if (!grant || grant.accountId !== token.accountId) {
    throw new InvalidRequest('what the user agreed to does not count any more');
  }
  return token;
}

/** Return the one service that is asked for, with the scopes that are asked for. */
function targetOf({ client, params, provider }) {
  const names = [params.audience, params.resource].flat().filter(Boolean);
  if (names.length !== 1) throw new InvalidTarget();
  const service = serviceOf(names[0], client);
  const scope = params.scope ?? service.scope;
  const unknown = scope.split(' ').filter((each) => !service.scope.split(' ').includes(each));
  if (unknown.length) throw new InvalidScope('requested scope is not allowed', unknown.join(' '));
  return { resourceServer: new provider.ResourceServer(names[0], service), scope };
}

async function exchange(ctx) {
  const { client, provider } = ctx.oidc;
  const { accountId, grantId } = await subjectOf(ctx.oidc);
  const account = await findAccount(ctx, accountId);
  if (!account) throw new InvalidRequest('the account of subject_token is not there any more');
  ctx.oidc.entity('Account', account);
  const token = new provider.AccessToken({
    accountId, client, grantId, gty: 'token_exchange', ...targetOf(ctx.oidc),
  });
  ctx.oidc.entity('AccessToken', token);
  const { scope } = token;
  ctx.body = {
    access_token: await token.save(),
    issued_token_type: ACCESS_TOKEN,
    token_type: token.tokenType,
    expires_in: token.expiration,
    scope,
  };
}

/** Write down each secret of an answer. */
async function note(ctx, next) {
  await next();
  const account = ctx.oidc?.entities?.Account?.accountId;
  const code = URL.parse(ctx.response.get('location'))?.searchParams.get('code');
  if (code) given.push({ kind: 'code', account, value: code });
  for (const kind of ['access_token', 'refresh_token', 'id_token']) {
    const value = ctx.path === '/token' && ctx.body?.[kind];
    if (value) given.push({ kind, account, value });
  }
}

function client(id, ...grants) {
  return {
    client_id: id,
    client_secret: secrets[id],
    // A native client's loopback address counts with each port (RFC 8252, section 7.3): a test's
    // Jupyter Server has no port yet.
    application_type: 'native',
    redirect_uris: ['http://127.0.0.1/oauth_callback'],
    grant_types: ['authorization_code', 'refresh_token', ...grants],
    response_types: ['code'],
  };
}

function settings() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = { ...privateKey.export({ format: 'jwk' }), kid: 'one', alg: 'RS256', use: 'sig' };
  return {
    clients: [client('jupyter', EXCHANGE), client('other')],
    claims: { openid: ['sub'], profile: ['preferred_username'] },
    conformIdTokenClaims: false, // preferred_username is in the ID token
    cookies: { keys: [randomBytes(32).toString('hex')] },
    jwks: { keys: [key] },
    findAccount,
    features: {
      introspection: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (ctx, name, asking) => serviceOf(name, asking),
      },
      revocation: { enabled: true },
    },
    pkce: { required: () => true },
    rotateRefreshToken: true,
    ttl: { AccessToken: (ctx, token) => token.resourceServer?.accessTokenTTL ?? seconds.login },
  };
}

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, settings());
  provider.use(note);
  const parameters = [
    'audience', 'resource', 'scope', 'requested_token_type', 'subject_token', 'subject_token_type',
    'actor_token', 'actor_token_type',
  ];
  provider.registerGrantType(EXCHANGE, exchange, parameters, ['audience', 'resource']);
  const answer = provider.callback();
  server.on('request', (request, response) => {
    if (request.url === '/test/given') response.end(JSON.stringify(given));
    else answer(request, response);
  });
  process.stdout.write(`${issuer}\n`);
});
// The test's process is gone.
process.stdin.on('end', () => process.exit()).resume();
