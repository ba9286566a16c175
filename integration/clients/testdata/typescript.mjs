// One of the official TypeScript clients against an MCP server, from knowing
// nothing but its URL to being disconnected and connecting again:
//
//	node typescript.mjs v1|v2 URL cimd|dcr
import assert from 'node:assert/strict';
import { Browser } from './browser.mjs';

const [line, target, registration] = process.argv.slice(2);
const v2 = line === 'v2';
const { Client, StreamableHTTPClientTransport, UnauthorizedError } = v2 ? await import('@modelcontextprotocol/client') : {
  ...await import('@modelcontextprotocol/sdk/client/index.js'),
  ...await import('@modelcontextprotocol/sdk/client/streamableHttp.js'),
  ...await import('@modelcontextprotocol/sdk/client/auth.js'),
};

const url = new URL(target);
const callback = 'http://localhost:7777/callback';
const browser = new Browser(callback);
const kept = {}; // what a client keeps between its runs
let answer; // of the last authorization
let choice = {}; // what the user does next
const provider = {
  redirectUrl: callback,
  clientMetadataUrl: registration === 'cimd' ? 'https://client.test/cimd.json' : undefined,
  clientMetadata: {
    client_name: `probe ${line}`, redirect_uris: [callback], grant_types: ['authorization_code', 'refresh_token'],
    ...(v2 ? {} : { token_endpoint_auth_method: 'none' }),
  },
  state: () => crypto.randomUUID(),
  clientInformation: () => kept.client,
  saveClientInformation: c => { kept.client = c; },
  tokens: () => kept.tokens,
  saveTokens: t => { kept.tokens = t; },
  codeVerifier: () => kept.verifier,
  saveCodeVerifier: v => { kept.verifier = v; },
  ...(v2 ? { discoveryState: () => kept.discovery, saveDiscoveryState: d => { kept.discovery = d; } } : {}),
  invalidateCredentials: what => {
    if (what !== 'client') delete kept.tokens;
    if (what === 'all' || what === 'client') delete kept.client;
  },
  async redirectToAuthorization(to) { answer = await browser.authorize(to, choice); },
};

let client, transport;
const open = async () => {
  transport = new StreamableHTTPClientTransport(url, { authProvider: provider });
  client = new Client({ name: 'probe', version: '1' }, v2 ? { versionNegotiation: { mode: 'auto' } } : {});
  await client.connect(transport);
};
const authorized = async f => {
  try { return await f(); } catch (e) {
    if (!(e instanceof UnauthorizedError)) throw e;
    assert.equal(answer.get('iss'), url.origin, 'the answer names its issuer');
    await transport.finishAuth(v2 ? answer : answer.get('code'));
    return f();
  }
};
const call = (name, args = {}) => authorized(async () => {
  const result = await client.callTool({ name, arguments: args });
  assert.ok(!result.isError, JSON.stringify(result));
  return result.content[0].text;
});
const step = (name, detail = '') => console.log(`ok ${name}:`, detail);
const scopes = () => kept.tokens.scope.split(' ').sort().join(' ');

choice = { deny: true };
await assert.rejects(open(), UnauthorizedError);
assert.equal(answer.get('error'), 'access_denied');
assert.equal(answer.get('iss'), url.origin);
step('denied');

choice = {};
await authorized(open);
assert.match(await call('whoami'), /^u-1 through /);
step('connected', scopes());
assert.equal(browser.asked, 2);

const first = kept.tokens;
await new Promise(done => setTimeout(done, (first.expires_in + 1) * 1000));
assert.match(await call('whoami'), /^u-1 through /);
assert.notEqual(kept.tokens.access_token, first.access_token);
assert.notEqual(kept.tokens.refresh_token, first.refresh_token);
assert.equal(browser.asked, 2, 'a refresh needs nobody');
step('refreshed', `after ${first.expires_in} s`);

const narrow = scopes();
if (!v2) delete kept.tokens.refresh_token; // else this client refreshes, which cannot widen, and gives up
await call('admin_op');
assert.equal(browser.asked, 3);
assert.notEqual(scopes(), narrow);
assert.match(await call('whoami'), /^u-1 through /);
assert.equal(browser.asked, 3, 'what was allowed before still is');
step('stepped up', scopes());

const old = kept.tokens;
await browser.revoke(url, kept.client.client_id);
const refused = await fetch(url, { method: 'POST', headers: { authorization: `Bearer ${old.access_token}` } });
assert.equal(refused.status, 401);
assert.match(refused.headers.get('www-authenticate'), /error="invalid_token"/);
step('disconnected');

assert.match(await call('whoami'), /^u-1 through /);
assert.equal(browser.asked, 4, 'the user is asked again');
step('connected again', scopes());
await client.close();
process.exit(0);
