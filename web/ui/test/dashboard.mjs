// Walks through the dashboard of a running server by role and name, as an analyst would, and fails on every console
// error, policy violation or missing name.
//
// LOGWARDEN_URL, LOGWARDEN_USER, LOGWARDEN_PASSWORD say where and as whom; the first argument is a folder for
// screenshots. The server must hold at least one event, and for the part on alerts one open alert.
// CHROMIUM names another browser than /usr/bin/chromium.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const BASE = process.env.LOGWARDEN_URL?.replace(/\/$/, '');
const USER = process.env.LOGWARDEN_USER;
const PASSWORD = process.env.LOGWARDEN_PASSWORD;
const SHOTS = process.argv[2];
if (!BASE || !USER || !PASSWORD || !SHOTS) {
  console.error('usage: LOGWARDEN_URL=… LOGWARDEN_USER=… LOGWARDEN_PASSWORD=… node test/dashboard.mjs SCREENSHOTS');
  process.exit(2);
}
mkdirSync(SHOTS, { recursive: true });

const TIMEOUT_MS = 15_000;
let passed = 0;
let failed = 0;
const complaints = [];

async function check(name, work) {
  try {
    await work();
    passed += 1;
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}: ${String(error.message ?? error).split('\n').slice(0, 4).join(' | ')}`);
  }
}

function expect(condition, what) {
  if (!condition) throw new Error(what);
}

/** Collects what must not happen; the 401 of a wrong password is meant, and browsers report it. */
function watch(page) {
  page.on('console', (message) => {
    if (message.type() !== 'error') return;
    if (/status of 401/.test(message.text()) && /\/api\/v1\/session$/.test(message.location().url)) return;
    complaints.push(`console: ${message.text()} (${message.location().url})`);
  });
  page.on('pageerror', (error) => complaints.push(`page error: ${error.message}`));
  page.on('dialog', (dialog) => {
    complaints.push(`a script opened a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
}

async function open(browser, viewport, scheme) {
  const context = await browser.newContext({ viewport, colorScheme: scheme, timezoneId: 'UTC' });
  context.setDefaultTimeout(TIMEOUT_MS);
  await context.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => {
      console.error(`policy violation: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
    });
  });
  const page = await context.newPage();
  watch(page);
  return page;
}

async function sign_in(page) {
  await page.getByRole('textbox', { name: 'User name' }).fill(USER);
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
}

const count_status = (page) => page.getByRole('status').filter({ hasText: /[\d\u202f ,]+ events? · / });
const main = (page) => page.getByRole('main');

/** The page sets its title when it is drawn, which may be after it is loaded. */
async function titled(page, start) {
  await page.waitForFunction((start) => document.title.startsWith(start), start);
}

async function no_sideways(page) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(over <= 0, `the page moves sideways by ${over} px`);
}

async function walk_search(page) {
  await check('search runs and says how many events there are', async () => {
    await page.getByRole('link', { name: 'Search', exact: true }).click();
    await page.getByRole('button', { name: /Time range/ }).click();
    await page.getByRole('button', { name: 'All time', exact: true }).click();
    await page.getByRole('textbox', { name: 'Search query' }).fill('*');
    await main(page).getByRole('button', { name: 'Search', exact: true }).click();
    await count_status(page).waitFor();
    await titled(page, 'Search');
  });
  await check('results are a grid that knows its length', async () => {
    const grid = page.getByRole('grid', { name: 'Events', exact: true });
    await grid.locator('[aria-rowindex="1"]').waitFor();
    expect(Number(await grid.getAttribute('aria-rowcount')) > 0, 'aria-rowcount is 0');
    expect((await grid.getByRole('row').count()) <= 61, 'more than 60 rows in the document');
  });
  await check('the histogram moves by keyboard and has a table', async () => {
    const chart = page.getByRole('application', { name: /Events over time/ });
    await chart.focus();
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('Shift+ArrowLeft');
    await page.getByText(/Enter zooms/).first().waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Show as table' }).click();
    await page.getByRole('region', { name: 'Events over time, table' }).waitFor();
    await page.getByRole('button', { name: 'Hide table' }).click();
  });
  await page.screenshot({ path: join(SHOTS, 'search.png') });

  await check('a facet filters, and the filter can be removed', async () => {
    const fields = page.getByRole('region', { name: 'Fields', exact: true });
    const box = fields.getByRole('group', { name: 'severity', exact: true }).getByRole('checkbox').first();
    // Not `check`: with the new counts another value may come first.
    await box.click();
    const list = page.getByRole('list', { name: 'Active filters' });
    await list.getByRole('listitem').first().waitFor();
    expect(new URL(page.url()).searchParams.get('q')?.includes('severity:'), `the URL is ${page.url()}`);
    await list.getByRole('button', { name: /Remove filter/ }).first().click();
    await list.waitFor({ state: 'detached' });
    await count_status(page).waitFor();
  });
  await check('an event opens, and filtering one value out changes the query', async () => {
    await page.getByRole('grid', { name: 'Events' }).locator('[aria-rowindex="1"]').click();
    const panel = page.getByRole('complementary', { name: /Event details/ });
    await panel.getByRole('link', { name: /Events around/ }).waitFor();
    await panel.getByRole('button', { name: /Filter for/ }).first().waitFor();
    await page.screenshot({ path: join(SHOTS, 'event.png') });
    await panel.getByRole('button', { name: 'Filter out dataset' }).click();
    await page.getByRole('list', { name: 'Active filters' }).getByText(/NOT dataset:/).waitFor();
    await page.getByRole('button', { name: 'Close event details' }).click();
    await panel.waitFor({ state: 'detached' });
  });
  await check('a wrong query is marked where it is wrong', async () => {
    const box = page.getByRole('textbox', { name: 'Search query' });
    const before = await box.inputValue();
    await box.fill('user.name:(root');
    await page.getByRole('heading', { name: 'Search' }).click();
    await page.getByRole('alert').filter({ hasText: /not closed/ }).waitFor();
    expect((await box.getAttribute('aria-invalid')) === 'true', 'aria-invalid is not set');
    await box.fill(before);
  });
  await check('the shared link opens the same view', async () => {
    await page.getByRole('button', { name: 'Share', exact: true }).click();
    const link = await page.getByRole('dialog', { name: 'Share this view' }).getByRole('textbox').inputValue();
    await page.keyboard.press('Escape');
    const other = await page.context().newPage();
    watch(other);
    await other.goto(link);
    await count_status(other).waitFor();
    expect((await other.getByRole('textbox', { name: 'Search query' }).inputValue()).includes('NOT dataset:'), 'another query');
    await other.close();
  });
  await check('events around one event', async () => {
    await page.goto(`${BASE}/search?from=all`);
    await page.getByRole('grid', { name: 'Events' }).locator('[aria-rowindex="1"]').click();
    await page.getByRole('link', { name: /Events around/ }).click();
    await page.getByRole('heading', { level: 1, name: /Events around \d/ }).waitFor();
    expect((await page.locator('[role=row][aria-current=true]').count()) === 1, 'no row is the anchor');
  });
  await check('live tail switches on and off', async () => {
    await page.goto(`${BASE}/search`);
    const live = page.getByRole('switch', { name: 'Live tail' });
    await live.check();
    await page.getByRole('status').filter({ hasText: /live/ }).waitFor();
    await live.uncheck();
    expect(!page.url().includes('live=1'), 'the URL still says live');
  });
}

async function walk_alerts(page) {
  await check('the queue of open alerts', async () => {
    await page.getByRole('link', { name: /^Alerts/ }).first().click();
    await page.getByRole('heading', { level: 1, name: 'Alerts' }).waitFor();
    await page.getByRole('tab', { name: /Acknowledged/ }).waitFor();
    await page.getByRole('tab', { name: /Resolved/ }).waitFor();
    await page.getByRole('table', { name: 'Alerts' }).getByRole('row').nth(1).waitFor();
  });
  await page.screenshot({ path: join(SHOTS, 'alerts.png') });
  await check('an alert says why it fired and shows its evidence', async () => {
    const link = page.getByRole('table', { name: 'Alerts' }).getByRole('row').nth(1).getByRole('link').first();
    const title = (await link.textContent())?.trim() ?? '';
    await link.click();
    await page.getByRole('heading', { level: 1, name: title }).waitFor();
    for (const name of ['Why this fired', 'Evidence', 'Timeline', 'Notes']) {
      await page.getByRole('heading', { name, exact: true }).waitFor();
    }
    const why = page.getByRole('region', { name: 'Why this fired' });
    expect(((await why.textContent()) ?? '').length > 40, 'the reason is only a name');
    await page.getByRole('button', { name: /^Open event of/ }).first().waitFor();
  });
  await page.screenshot({ path: join(SHOTS, 'alert.png'), fullPage: true });
  await check('acknowledging changes the state', async () => {
    await page.getByRole('button', { name: 'Acknowledge', exact: true }).click();
    await page.getByLabel('State').filter({ hasText: 'acknowledged' }).waitFor();
  });
  await check('a note is kept as text', async () => {
    const note = `<b>seen</b> ${Date.now()}`;
    await page.getByRole('textbox', { name: /Add a note/ }).fill(note);
    await page.getByRole('button', { name: /Add note/ }).click();
    await page.getByRole('region', { name: 'Notes' }).getByText(note).waitFor();
  });
  await check('assigning and resolving are offered', async () => {
    await page.getByRole('button', { name: /Assign/ }).click();
    await page.getByRole('menuitem', { name: 'To me' }).click();
    await page.getByText(`assigned to ${USER}`).first().waitFor();
    await page.getByRole('button', { name: /Resolve/ }).click();
    await page.getByRole('dialog', { name: /Resolve alert/ }).waitFor();
    await page.keyboard.press('Escape');
  });
}

async function walk_narrow(browser) {
  const page = await open(browser, { width: 390, height: 844 }, 'dark');
  await check('a stranger is led to the door and back to the page', async () => {
    await page.goto(`${BASE}/alerts`);
    await page.waitForURL(`${BASE}/login`);
    await sign_in(page);
    await page.waitForURL(`${BASE}/alerts`);
  });
  for (const path of ['/', '/search?from=all', '/alerts?state=all', '/rules']) {
    await check(`${path} fits a narrow screen`, async () => {
      await page.goto(BASE + path);
      await page.getByRole('heading', { level: 1 }).waitFor();
      await page.waitForLoadState('networkidle').catch(() => {});
      await no_sideways(page);
      expect((await page.getByRole('heading', { level: 1 }).count()) === 1, 'not exactly one h1');
      const name = path.replace(/\W+/g, '-').replace(/^-|-$/g, '') || 'overview';
      await page.screenshot({ path: join(SHOTS, `narrow-${name}.png`) });
    });
  }
  await check('the menu opens the navigation', async () => {
    await page.getByRole('button', { name: 'Menu', exact: true }).click();
    await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Rules' }).waitFor();
  });
  await page.context().close();
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
try {
  const page = await open(browser, { width: 1440, height: 900 }, 'light');
  await check('a wrong password is refused with words', async () => {
    await page.goto(`${BASE}/login`);
    await titled(page, 'Sign in');
    await page.getByRole('textbox', { name: 'User name' }).fill(USER);
    await page.getByLabel('Password', { exact: true }).fill('not the password');
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByRole('alert').waitFor();
  });
  await check('signing in leads to the overview', async () => {
    await sign_in(page);
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
    const nav = page.getByRole('navigation', { name: 'Main' });
    for (const name of ['Overview', 'Search', 'Rules']) await nav.getByRole('link', { name, exact: true }).waitFor();
    expect((await nav.locator('[aria-current=page]').count()) === 1, 'not exactly one present page');
    await page.getByRole('combobox', { name: /Time zone/ }).waitFor();
    await page.getByRole('application', { name: /Events over time/ }).waitFor();
  });
  await page.screenshot({ path: join(SHOTS, 'overview.png') });
  await walk_search(page);
  await walk_alerts(page);
  await check('rules are listed', async () => {
    await page.getByRole('link', { name: 'Rules', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: 'Rules' }).waitFor();
    await page.getByRole('table', { name: 'Rules' }).getByRole('row').nth(1).waitFor();
  });
  await check('the help lists the shortcuts', async () => {
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: /Keyboard shortcuts/ }).waitFor();
    await page.keyboard.press('Escape');
  });
  await check('an unknown page says so', async () => {
    await page.goto(`${BASE}/no-such-page`).catch(() => {});
    await page.getByRole('heading', { level: 1, name: 'Not found' }).waitFor();
    await main(page).getByRole('link', { name: 'Overview' }).click();
  });
  await check('signing out leads to the door', async () => {
    await page.getByRole('button', { name: 'User menu' }).click();
    await page.getByRole('menuitem', { name: 'Sign out' }).click();
    await page.waitForURL(`${BASE}/login`);
  });
  await page.context().close();
  await walk_narrow(browser);
} finally {
  await browser.close();
}

// The answer 404 to an unknown page is meant, and the browser reports it too.
const unmeant = complaints.filter((text) => !(/status of 404/.test(text) && text.includes('/no-such-page')));
await check('no console errors and no policy violations', async () => {
  expect(unmeant.length === 0, [...new Set(unmeant)].join(' | '));
});
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
