// A person in Chromium, without JavaScript, on a phone: signs in, consents to
// less than was asked for, denies, and disconnects the client:
//
//	node chromium.mjs URL [FOLDER for pictures]
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { chromium } from 'playwright-core';

const [target, pictures = process.env.PICTURES] = process.argv.slice(2);
const site = new URL(target).origin;
const step = (name, detail = '') => console.log(`ok ${name}:`, detail);

const callbacks = createServer((req, res) => res.end('The app has its answer.'));
await new Promise(done => callbacks.listen(0, '127.0.0.1', done));
const redirect = `http://127.0.0.1:${callbacks.address().port}/callback`;

const metadata = await (await fetch(`${site}/.well-known/oauth-authorization-server`)).json();
const client = await (await fetch(metadata.registration_endpoint, {
  method: 'POST', headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ client_name: 'Claude', redirect_uris: [redirect], application_type: 'native', token_endpoint_auth_method: 'none', grant_types: ['authorization_code', 'refresh_token'] }),
})).json();
assert.ok(client.client_id, JSON.stringify(client));

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] });
const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 390, height: 844 } });
const page = await context.newPage();
page.setDefaultTimeout(20_000);
const failures = [];
page.on('console', m => { if (m.type() === 'error') failures.push(m.text()); });
const look = async name => {
  const wide = await page.locator('html').evaluate?.(e => e.scrollWidth).catch(() => 0);
  assert.ok(wide <= 390, `${name} is ${wide} pixels wide`);
  if (pictures) await page.screenshot({ path: `${pictures}/${name}.png`, fullPage: true });
};

const verifier = randomBytes(32).toString('base64url');
const authorize = async () => {
  const url = new URL(metadata.authorization_endpoint);
  for (const [k, v] of Object.entries({
    response_type: 'code', client_id: client.client_id, redirect_uri: redirect, state: 'a b', resource: target, scope: 'notes:read notes:write', prompt: 'consent',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256',
  })) url.searchParams.set(k, v);
  await page.goto(url.href);
};
const answer = async () => {
  await page.waitForURL(`${redirect}?**`);
  const q = new URL(page.url()).searchParams;
  assert.equal(q.get('state'), 'a b');
  assert.equal(q.get('iss'), site);
  return q;
};

await authorize();
await look('login');
await page.getByLabel('Username').fill('ada');
await page.getByLabel('Password').fill('wrong');
await page.getByRole('button', { name: 'Sign in' }).click();
await page.getByRole('alert').waitFor();
await look('login-wrong');
await page.getByLabel('Username').fill('ada');
await page.getByLabel('Password').fill('lovelace');
await page.getByRole('button', { name: 'Sign in' }).click();
await page.getByRole('button', { name: 'Allow' }).waitFor();
step('signed in');

const text = await page.locator('main').innerText();
assert.match(text, /registered itself/);
assert.match(text, /program on this computer/);
assert.match(text, /Claude/);
await look('consent');
await page.getByRole('checkbox').nth(1).uncheck();
await look('consent-unticked');
await page.getByRole('button', { name: 'Allow' }).click();
const code = (await answer()).get('code');
const tokens = await (await fetch(metadata.token_endpoint, {
  method: 'POST', body: new URLSearchParams({ grant_type: 'authorization_code', client_id: client.client_id, code, redirect_uri: redirect, code_verifier: verifier }),
})).json();
assert.equal(tokens.scope, 'notes:read');
step('allowed less', tokens.scope);

await authorize();
await page.getByRole('button', { name: 'Deny' }).click();
assert.equal((await answer()).get('error'), 'access_denied');
step('denied');

await page.goto(`${site}/connections`);
assert.match(await page.locator('main').innerText(), /Claude/);
await look('connections');
await page.getByRole('button', { name: 'Disconnect' }).click();
await page.getByRole('button', { name: 'Disconnect' }).waitFor({ state: 'detached' });
await look('connections-none');
const refreshed = await fetch(metadata.token_endpoint, {
  method: 'POST', body: new URLSearchParams({ grant_type: 'refresh_token', client_id: client.client_id, refresh_token: tokens.refresh_token }),
});
assert.equal(refreshed.status, 400);
assert.equal((await refreshed.json()).error, 'invalid_grant');
step('disconnected');

await page.goto(`${site}/oauth/authorize?client_id=nobody&response_type=code`);
await look('error');
assert.deepEqual(failures.filter(f => !/40\d/.test(f)), [], 'what the browser complained about');
await browser.close();
process.exit(0);
