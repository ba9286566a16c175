// The MCP Inspector's command line, started anew for each call as people do:
//
//	node inspector.mjs URL cimd|dcr
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Browser } from './browser.mjs';
import { answerPrompts } from './prompt.mjs';

const [target, registration] = process.argv.slice(2);
const home = mkdtempSync(join(tmpdir(), 'mcp-inspector-'));
process.on('exit', () => rmSync(home, { recursive: true }));
const browser = new Browser('http://127.0.0.1:6276/');
const step = (name, detail = '') => console.log(`ok ${name}:`, detail);

// run is one command; it answers what that printed on stdout.
const run = (...args) => new Promise((resolve, reject) => {
  const child = spawn(process.execPath, ['node_modules/.bin/mcp-inspector', '--cli', '--server-url', target, '--transport', 'http',
    ...(registration === 'cimd' ? ['--client-metadata-url', 'https://client.test/cimd.json'] : []), ...args],
  { env: { ...process.env, HOME: home, BROWSER: 'none', MCP_AUTO_OPEN_ENABLED: 'true', MCP_INSPECTOR_SECRET_STORE: 'file' }, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '', err = '';
  child.stdout.on('data', chunk => { out += chunk; });
  child.stderr.on('data', chunk => { err += chunk; });
  answerPrompts(child.stderr, browser);
  child.on('exit', code => code === 0 ? resolve(out) : reject(new Error(`exit ${code}: ${out}${err}`)));
});

assert.match(await run('--method', 'tools/list'), /whoami/);
assert.equal(browser.asked, 1);
step('connected');
await new Promise(done => setTimeout(done, Number(process.env.ACCESS_TTL) * 1000 + 1000));
assert.match(await run('--method', 'tools/call', '--tool-name', 'whoami'), /u-1 through /);
assert.equal(browser.asked, 1, 'a refresh needs nobody');
step('refreshed');
process.exit(0);
