// Every page once: its title, its landmarks, what axe finds, its width, and a screenshot.
import { BASE, check, expect, no_axe_findings, no_sideways, open, shot, sign_in, titled } from './browser.mjs';

/** Every page with its title; those behind a link of a list are found on the way. */
export const PAGES = [
  ['/', 'Overview'],
  ['/search?from=all', 'Search'],
  ['/search?from=all&view=patterns', 'Search'],
  ['/alerts?state=all', 'Alerts'],
  ['/rules', 'Rules'],
  ['/rules/new?q=event.outcome%3Afailure', 'New rule'],
  ['/rules/coverage', 'ATT&CK coverage'],
  ['/notifications', 'Notifications'],
  ['/notifications?tab=routes', 'Notifications'],
  ['/notifications?tab=oncall', 'Notifications'],
  ['/notifications?tab=silences', 'Notifications'],
  ['/notifications?tab=deliveries', 'Notifications'],
  ['/sources', 'Sources'],
  ['/entities', 'Entities'],
  ['/dashboards', 'Dashboards'],
  ['/dashboards/ready-everything', 'All sources'],
  ['/admin/users', 'Users'],
  ['/admin/keys', 'API keys'],
  ['/admin/retention', 'Retention'],
  ['/admin/audit', 'Audit'],
  ['/admin/storage', 'Storage'],
  ['/me', 'Your settings'],
];
/** A list, the role and name of the table in it, and what to call the page of its first link. */
const FIRST_OF = [
  ['/alerts?state=all', 'Alerts', 'one-alert'],
  ['/rules', 'Rules', 'one-rule'],
  ['/sources', 'Sources', 'one-source'],
  ['/entities', 'Users', 'one-entity'],
];

/** Script that a page may load at first, as it comes over the wire. */
const SCRIPT_BYTES_MAX = 100_000;

/** What is loaded of script from now on, without the editor of rules, which comes when the page is there. */
async function weigh_scripts(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  await session.send('Network.setCacheDisabled', { cacheDisabled: true });
  const paths = new Map();
  const weighed = { bytes: 0 };
  session.on('Network.responseReceived', ({ requestId, response }) => paths.set(requestId, new URL(response.url).pathname));
  session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    const path = paths.get(requestId) ?? '';
    if (path.endsWith('.js') && !path.includes('/YamlEditor-')) weighed.bytes += encodedDataLength;
  });
  return weighed;
}

async function look_at(page, name, prefix) {
  await page.getByRole('heading', { level: 1 }).waitFor();
  await page.waitForLoadState('networkidle').catch(() => {});
  await page.waitForFunction(() => !document.querySelector('main [aria-busy="true"]'), null, { timeout: 5000 }).catch(() => {});
  await no_sideways(page);
  expect((await page.getByRole('heading', { level: 1 }).count()) === 1, 'not exactly one h1');
  expect((await page.getByRole('main').count()) === 1, 'not exactly one main');
  await shot(page, `${prefix}-${name}`);
  await no_axe_findings(page);
}

/** Every page once: title, landmarks, axe, width, screenshot. */
export async function walk_pages(browser, viewport, scheme) {
  const prefix = `${viewport.width < 900 ? 'narrow' : 'wide'}-${scheme}`;
  const page = await open(browser, viewport, scheme);
  await page.goto(`${BASE}/login`);
  await check(`${prefix}: the door`, () => look_at(page, 'login', prefix));
  await sign_in(page);
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  const scripts = await weigh_scripts(page);
  for (const [path, title] of PAGES) {
    await check(`${prefix}: ${path}`, async () => {
      scripts.bytes = 0;
      await page.goto(BASE + path);
      await titled(page, title);
      await look_at(page, path.replace(/\W+/g, '-').replace(/^-|-$/g, '') || 'overview', prefix);
      const present = await page.locator('nav[aria-label=Main] [aria-current=page]').count();
      expect(present === (path === '/me' ? 0 : 1), 'not exactly one present page');
      expect(scripts.bytes > 0 && scripts.bytes <= SCRIPT_BYTES_MAX, `${scripts.bytes} bytes of script`);
    });
  }
  for (const [path, table, name] of FIRST_OF) {
    await check(`${prefix}: ${name}`, async () => {
      await page.goto(BASE + path);
      await page.getByRole('table', { name: table }).getByRole('row').nth(1).getByRole('link').first().click();
      await page.waitForURL((url) => url.pathname.split('/').length > 2);
      await look_at(page, name, prefix);
    });
  }
  await page.context().close();
}
