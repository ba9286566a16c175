// The MCP Inspector's command line, started anew for each call as people do; for
// an employee who signs in at the company, if it is given an account:
//
//	node inspector.mjs URL cimd|dcr|'{"client": …, "idp": …}'
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Browser } from './browser.mjs';
import { answerPrompts } from './prompt.mjs';

const [target, registration] = process.argv.slice(2);
const home = mkdtempSync(join(tmpdir(), 'mcp-inspector-'));
process.on('exit', () => rmSync(home, { recursive: true }));
const browser = new Browser('http://127.0.0.1:6276/');
const account = registration.startsWith('{') ? JSON.parse(registration) : undefined;
const who = account ? `u-employee through ${account.client} with read` : 'u-1 through ';
const asked = account ? undefined : 1; // once, or never
const step = (name, detail = '') => console.log(`ok ${name}:`, detail);

// write writes a file with settings, and returns its path.
const write = (name, settings) => {
  writeFileSync(join(home, name), JSON.stringify(settings));
  return join(home, name);
};
const server = account ? [
  '--server', 'ours',
  '--config', write('servers.json', { mcpServers: { ours: {
    type: 'streamable-http', url: target, oauth: { enterpriseManaged: true, clientId: account.client, clientSecret: account.secret },
  } } }),
  '--client-config', write('client.json', { enterpriseManagedAuth: {
    enabled: true, idp: { issuer: account.idp, clientId: account.idpClient, clientSecret: account.idpSecret },
  } }),
] : ['--server-url', target, '--transport', 'http', ...(registration === 'cimd' ? ['--client-metadata-url', 'https://client.test/cimd.json'] : [])];

// run is one command; it answers what that printed on stdout.
const run = (...args) => new Promise((resolve, reject) => {
  const child = spawn(process.execPath, ['node_modules/.bin/mcp-inspector', '--cli', ...server, ...args],
  { env: { ...process.env, HOME: home, BROWSER: 'none', MCP_AUTO_OPEN_ENABLED: 'true', MCP_INSPECTOR_SECRET_STORE: 'file' }, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '', err = '';
  child.stdout.on('data', chunk => { out += chunk; });
  child.stderr.on('data', chunk => { err += chunk; });
  answerPrompts(child.stderr, browser);
  child.on('exit', code => code === 0 ? resolve(out) : reject(new Error(`exit ${code}: ${out}${err}`)));
});

assert.match(await run('--method', 'tools/list'), /whoami/);
assert.equal(browser.asked, asked);
step('connected');
if (!account) await new Promise(done => setTimeout(done, Number(process.env.ACCESS_TTL) * 1000 + 1000)); // else it takes no token that expires so soon
const said = await run('--method', 'tools/call', '--tool-name', 'whoami');
assert.ok(said.includes(who), said);
assert.equal(browser.asked, asked, 'a refresh needs nobody');
step('refreshed');
process.exit(0);
