// A person with a browser that runs no script: it keeps cookies, follows
// redirects, signs in, and answers the consent page as it is told.
export class Browser {
  cookies = new Map();

  constructor(callback) { this.callback = callback; }

  // request follows redirects within the site; one to the callback ends it.
  async request(url, init = {}) {
    for (let hops = 0; hops < 10; hops++) {
      const headers = { ...init.headers, cookie: [...this.cookies].map(([k, v]) => `${k}=${v}`).join('; ') };
      const res = await fetch(url, { ...init, headers, redirect: 'manual' });
      for (const line of res.headers.getSetCookie()) {
        const [pair] = line.split(';');
        const at = pair.indexOf('=');
        this.cookies.set(pair.slice(0, at), pair.slice(at + 1));
      }
      const location = res.headers.get('location');
      if (!location) return { url, status: res.status, page: await res.text() };
      await res.body?.cancel();
      const to = new URL(location, url);
      if (to.href.startsWith(this.callback)) return { answer: to };
      [url, init] = [to, {}];
    }
    throw new Error('too many redirects');
  }

  submit(at, action, fields) {
    return this.request(new URL(action, at.url), {
      method: 'POST', body: new URLSearchParams(fields),
      headers: { 'content-type': 'application/x-www-form-urlencoded', origin: new URL(at.url).origin, 'sec-fetch-site': 'same-origin' },
    });
  }

  // authorize goes from a client's authorization URL to the parameters of the
  // answer: signs in where asked, unticks scopes, allows or denies.
  async authorize(url, { untick = [], deny = false } = {}) {
    let at = await this.request(url);
    if (at.page?.includes('action="/login"')) {
      at = await this.submit(at, '/login', [...hidden(at.page), ['username', 'ada'], ['password', 'lovelace']]);
    }
    if (at.page) {
      const action = at.page.match(/<form method="post" action="([^"]+)"/)?.[1];
      if (!action || at.status !== 200) throw new Error(`no consent page but ${at.status}: ${at.page.replace(/<style[^]*?<\/style>|<[^>]*>/g, ' ').replace(/\s+/g, ' ').slice(0, 300)}`);
      const scopes = [...at.page.matchAll(/name="scope" value="([^"]*)" checked/g)].map(m => m[1]).filter(s => !untick.includes(s));
      this.asked = (this.asked ?? 0) + 1;
      at = await this.submit(at, unescape(action), [...hidden(at.page), ...scopes.map(s => ['scope', s]), ['decision', deny ? 'deny' : 'allow']]);
    }
    this.last = at.answer;
    if (!at.answer) throw new Error(`no answer to the client but ${at.status}`);
    return at.answer.searchParams;
  }

  // revoke ends a client's access on the page of connected apps.
  async revoke(site, client) {
    const at = await this.request(new URL('/connections', site));
    if (!at.page?.includes(`value="${escape(client)}"`)) throw new Error(`${client} is not among the connected apps`);
    const after = await this.submit(at, '/connections', [['client_id', client]]);
    if (after.page.includes(`value="${escape(client)}"`)) throw new Error(`${client} is still among the connected apps`);
  }
}

const hidden = page => [...page.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)">/g)].map(m => [m[1], unescape(m[2])]);
const unescape = s => s.replaceAll('&#43;', '+').replaceAll('&#34;', '"').replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
const escape = s => s.replaceAll('&', '&amp;').replaceAll('+', '&#43;');
