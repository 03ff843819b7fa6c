// Signs in at a provider of identities in a browser; tests/e2e/oidc.rs starts the provider and the server that knows it
// as `corp`. LOGWARDEN_PROVIDER is the provider's address; see browser.mjs for the rest.
import { BASE, NARROW, PROVIDER, WIDE, check, conclude, expect, launch, no_axe_findings, open, shot } from './browser.mjs';
import { keyboard, pointer } from './hands.mjs';

const browser = await launch();

/** Who is signed in there next. */
async function as(user) {
  const answer = await fetch(`${PROVIDER}/test/as?user=${user}`);
  expect(answer.ok, `the provider answered ${answer.status}`);
}

for (const [hands_of, viewport, user, role] of [[pointer, WIDE, 'ana', 'analyst'], [keyboard, NARROW, 'ben', 'shop']]) {
  await check(`${user} comes in through the provider, to the page that was asked for`, async () => {
    await as(user);
    const page = await open(browser, viewport, 'light');
    const hands = hands_of(page);
    await page.goto(`${BASE}/search?q=checkout`);
    await page.waitForURL(`${BASE}/login`);
    await no_axe_findings(page);
    await shot(page, `oidc-door-${user}`);
    await hands.press(page.getByRole('link', { name: 'Continue with corp' }).or(page.getByRole('button', { name: 'Continue with corp' })));
    await page.waitForURL(`${BASE}/search?q=checkout`);
    await page.getByRole('heading', { level: 1, name: 'Search' }).waitFor();
    const who = await page.evaluate(async () => (await fetch('/api/v1/session')).json());
    expect(who.name === user && who.role_name === role, JSON.stringify(who));
    expect((await page.getByRole('link', { name: 'Admin', exact: true }).count()) === 0, 'what they may not do is offered');
    await shot(page, `oidc-in-${user}`);
    await hands.pick(page.getByRole('button', { name: 'User menu' }), page.getByRole('menuitem', { name: 'Sign out' }));
    await page.waitForURL(`${BASE}/login`);
    await page.context().close();
  });
}
for (const user of ['eve', 'nobody']) {
  await check(`${user} is told at the door that they do not come in`, async () => {
    await as(user);
    const page = await open(browser, WIDE, 'dark');
    await page.goto(`${BASE}/login`);
    await page.getByRole('link', { name: 'Continue with corp' }).or(page.getByRole('button', { name: 'Continue with corp' })).click();
    await page.getByRole('alert').waitFor();
    await shot(page, `oidc-refused-${user}`);
    await page.context().close();
  });
}
await browser.close();
await conclude();
