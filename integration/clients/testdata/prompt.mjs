// answerPrompts watches what a program prints for the authorization URL that it
// asks its user to open, and opens it.
export function answerPrompts(stream, browser) {
  let text = '';
  stream.setEncoding('utf8').on('data', async chunk => {
    text += chunk;
    if (process.env.DEBUG) process.stderr.write(chunk);
    const url = text.match(/https?:\/\/\S+[?&]response_type=code\S*(?=\s)/)?.[0];
    if (!url) return;
    text = '';
    const answer = await browser.authorize(url);
    await (await fetch(browser.last)).text();
    if (answer.get('error')) console.error('authorization failed:', answer.get('error'));
  });
}
