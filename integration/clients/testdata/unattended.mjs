// The providers that one of the official TypeScript clients has for connections
// that no person is asked for, all at once, each with what is its own:
//
//	node unattended.mjs v1|v2 '{"secret": {"endpoint": …}, "key": …, "jwt": …, "enterprise": …}'
import assert from 'node:assert/strict';

const [line, argument] = process.argv.slice(2);
const v2 = line === 'v2';
const lib = v2 ? await import('@modelcontextprotocol/client') : {
  ...await import('@modelcontextprotocol/sdk/client/index.js'),
  ...await import('@modelcontextprotocol/sdk/client/streamableHttp.js'),
  ...await import('@modelcontextprotocol/sdk/client/auth-extensions.js'),
};
const scope = v2 ? undefined : 'read write'; // v1 does not ask for what a challenge names
const atFirst = v2 ? 'read' : 'read write';

// kinds say how a provider is made, and what makes one that is refused, with
// which error.
const kinds = {
  secret(given) {
    const provider = clientSecret => new lib.ClientCredentialsProvider({ ...common(given), clientSecret });
    return { good: () => provider(given.secret), bad: { 'wrong secret': ['invalid_client', () => provider('guessed')] } };
  },

  key(given) {
    const provider = (privateKey, audience) => {
      const made = new lib.PrivateKeyJwtProvider({ ...common(given), privateKey, algorithm: given.alg });
      if (audience) made.addClientAuthentication = lib.createPrivateKeyJwtAuth({ ...identity(given), privateKey, audience });
      return made;
    };
    return {
      good: () => provider(given.key),
      bad: {
        'wrong key': ['invalid_client', () => provider(given.otherKey)],
        'wrong audience': ['invalid_client', () => provider(given.key, 'https://elsewhere.example')],
      },
    };
  },

  jwt(given) { // signed beforehand, and good for one token
    return {
      good: async () => {
        const params = new URLSearchParams();
        await lib.createPrivateKeyJwtAuth({ ...identity(given), audience: new URL(given.endpoint).origin })(new Headers(), params);
        return new lib.StaticPrivateKeyJwtProvider({ ...common(given), jwtBearerAssertion: params.get('client_assertion') });
      },
      bad: {},
      again: true,
    };
  },

  enterprise(given) {
    const provider = (who, clientSecret = given.secret) => new lib.CrossAppAccessProvider({
      ...common(given), clientSecret,
      assertion: context => idJAG(given, who, { audience: context.authorizationServerUrl, resource: context.resourceUrl, scope: context.scope }),
    });
    return {
      good: () => provider('employee'),
      bad: {
        'wrong secret': ['invalid_client', () => provider('employee', 'guessed')],
        'wrong key': ['invalid_grant', () => provider('forged')],
        'wrong audience': ['invalid_grant', () => provider('astray')],
        'wrong user': ['invalid_grant', () => provider('stranger')],
      },
    };
  },
};
const common = given => ({ clientId: given.client, expectedIssuer: new URL(given.endpoint).origin, scope });
const identity = given => ({ issuer: given.client, subject: given.client, privateKey: given.key, alg: given.alg });
const idJAG = (given, who, what) => lib.discoverAndRequestJwtAuthGrant({
  idpUrl: given.idp, idToken: given.idTokens[who], clientId: given.idpClient, clientSecret: given.idpSecret, ...what,
}).then(result => result.jwtAuthGrant);

const connect = async (given, provider) => {
  const client = new lib.Client({ name: 'probe', version: '1' }, v2 ? { versionNegotiation: { mode: 'auto' } } : {});
  await client.connect(new lib.StreamableHTTPClientTransport(new URL(given.endpoint), { authProvider: provider }));
  return client;
};
const call = async (client, name) => {
  const result = await client.callTool({ name, arguments: {} });
  assert.ok(!result.isError, JSON.stringify(result));
  return result.content[0].text;
};
const refused = (promise, code) => assert.rejects(promise, error => assert.equal(v2 ? error.code : error.errorCode, code, error) ?? true);

const drive = async kind => {
  const given = JSON.parse(argument)[kind];
  const step = (name, detail = '') => console.log(`ok ${kind} ${name}:`, detail);
  const who = `${kind === 'enterprise' ? 'u-employee' : 'itself'} through ${given.client} with `;
  const { good, bad, again } = kinds[kind](given);

  for (const [what, [code, make]] of Object.entries(bad)) {
    const provider = make();
    await refused(connect(given, provider), code);
    assert.equal(provider.tokens(), undefined);
    step(what, code);
  }

  let provider = await good();
  let client = await connect(given, provider);
  assert.deepEqual((await client.listTools()).tools.map(tool => tool.name).sort(), ['publish', 'whoami']);
  assert.equal(await call(client, 'whoami'), who + atFirst);
  const first = provider.tokens();
  assert.equal(first.refresh_token, undefined);
  step('connected', first.scope);

  await new Promise(done => setTimeout(done, (first.expires_in + 1) * 1000));
  if (again) {
    await refused(call(client, 'whoami'), 'invalid_client');
    step('used twice', 'invalid_client');
    await client.close();
    provider = await good();
    client = await connect(given, provider);
  }
  assert.equal(await call(client, 'whoami'), who + atFirst);
  assert.notEqual(provider.tokens().access_token, first.access_token);
  step('renewed', `after ${first.expires_in} s`);

  if (v2 && !again) {
    assert.equal(await call(client, 'publish'), who + 'read write');
    step('stepped up', provider.tokens().scope);
  }
  await client.close();
  if (kind === 'enterprise') await withoutAConnection(given, step);
};

// withoutAConnection uses the functions that CrossAppAccessProvider is made of.
const withoutAConnection = async (given, step) => {
  const { token_endpoint: tokenEndpoint, issuer: audience } = await lib.discoverAuthorizationServerMetadata(new URL(given.endpoint).origin);
  for (const authMethod of ['client_secret_basic', 'client_secret_post']) {
    const jwtAuthGrant = await idJAG(given, 'employee', { audience, resource: given.endpoint, scope: 'read' });
    const exchange = () => lib.exchangeJwtAuthGrant({ tokenEndpoint, jwtAuthGrant, clientId: given.client, clientSecret: given.secret, authMethod });
    assert.equal((await exchange()).scope, 'read');
    step('exchanged', authMethod);
    await assert.rejects(exchange, /JWT grant exchange failed: invalid_grant - /);
    step('used twice', 'invalid_grant');
  }
};

await Promise.all(Object.keys(JSON.parse(argument)).map(drive));
process.exit(0);
