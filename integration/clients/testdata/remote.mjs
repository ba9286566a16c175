// mcp-remote as a program that runs on a user's machine, spoken to over stdio, or
// where there is no user, if it is given an account:
//
//	node remote.mjs URL cimd|dcr|'{"client": …, "secret": …}'
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { Browser } from './browser.mjs';
import { answerPrompts } from './prompt.mjs';

const [target, registration] = process.argv.slice(2);
const home = mkdtempSync(join(tmpdir(), 'mcp-remote-'));
process.on('exit', () => rmSync(home, { recursive: true }));
const browser = new Browser('http://localhost:');
const account = registration.startsWith('{') ? JSON.parse(registration) : undefined;
const args = account ? ['--client-credentials', '--static-oauth-client-info', JSON.stringify({ client_id: account.client, client_secret: '${SECRET}' })]
  : registration === 'cimd' ? ['7777', '--client-metadata-url', 'https://client.test/cimd.json'] : [];
const who = account ? `itself through ${account.client} with read` : 'u-1 through ';
const asked = account ? undefined : 1; // once, or never
const step = (name, detail = '') => console.log(`ok ${name}:`, detail);

const open = async (secret = account?.secret) => {
  const transport = new StdioClientTransport({
    command: process.execPath, args: ['node_modules/mcp-remote/dist/proxy.js', target, '--transport', 'http-only', ...args], stderr: 'pipe',
    env: { ...process.env, HOME: home, MCP_REMOTE_CONFIG_DIR: home, BROWSER: 'none', ...(account ? { SECRET: secret } : {}) },
  });
  answerPrompts(transport.stderr, browser);
  let said = '';
  transport.stderr.on('data', chunk => { said += chunk; });
  const client = new Client({ name: 'probe', version: '1' });
  await client.connect(transport).catch(cause => { throw new Error(said, { cause }); });
  return client;
};
const whoami = async client => {
  const { text } = (await client.callTool({ name: 'whoami', arguments: {} })).content[0];
  assert.ok(text.startsWith(who), text);
};

if (account) {
  await assert.rejects(open('guessed'), /client authentication failed/);
  step('wrong secret');
}
let client = await open();
await whoami(client);
assert.equal(browser.asked, asked);
step('connected');
await new Promise(done => setTimeout(done, Number(process.env.ACCESS_TTL) * 1000 + 1000));
await whoami(client);
assert.equal(browser.asked, asked, 'a refresh needs nobody');
step('refreshed');
await client.close();

client = await open();
await whoami(client);
assert.equal(browser.asked, asked, 'what it kept is still good');
step('started again');
await client.close();
process.exit(0);
