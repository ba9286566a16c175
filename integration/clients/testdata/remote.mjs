// mcp-remote as a program that runs on a user's machine, spoken to over stdio:
//
//	node remote.mjs URL cimd|dcr
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
const args = ['node_modules/mcp-remote/dist/proxy.js', target, '--transport', 'http-only', ...(registration === 'cimd' ? ['7777', '--client-metadata-url', 'https://client.test/cimd.json'] : [])];
const step = (name, detail = '') => console.log(`ok ${name}:`, detail);

const open = async () => {
  const transport = new StdioClientTransport({
    command: process.execPath, args, stderr: 'pipe',
    env: { ...process.env, HOME: home, MCP_REMOTE_CONFIG_DIR: home, BROWSER: 'none' },
  });
  answerPrompts(transport.stderr, browser);
  const client = new Client({ name: 'probe', version: '1' });
  await client.connect(transport);
  return client;
};
const whoami = async client => (await client.callTool({ name: 'whoami', arguments: {} })).content[0].text;

let client = await open();
assert.match(await whoami(client), /^u-1 through /);
assert.equal(browser.asked, 1);
step('connected');
await new Promise(done => setTimeout(done, Number(process.env.ACCESS_TTL) * 1000 + 1000));
assert.match(await whoami(client), /^u-1 through /);
assert.equal(browser.asked, 1, 'a refresh needs nobody');
step('refreshed');
await client.close();

client = await open();
assert.match(await whoami(client), /^u-1 through /);
assert.equal(browser.asked, 1, 'what it kept is still good');
step('started again');
await client.close();
process.exit(0);
