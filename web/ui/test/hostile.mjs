// Visits every page of a server whose records, alerts, notes and names are hostile values, and fails when one of them
// is anything but text. LOGWARDEN_VALUES names the file with the values; see browser.mjs for the rest.
import { readFileSync } from 'node:fs';
import { BASE, NARROW, WIDE, check, conclude, count_status, expect, launch, no_sideways, open, shot, sign_in } from './browser.mjs';

const VALUES = JSON.parse(readFileSync(process.env.LOGWARDEN_VALUES, 'utf8'));
const PAGES = [
  '/', '/search?from=all', '/search?from=all&view=json', '/search?from=all&view=patterns',
  '/search?from=all&cols=timestamp,user.name,host.name,url.path,http.user_agent,event.action&group=user.name',
  '/alerts?state=all', '/alerts?state=all&group=entity', '/rules', '/rules/coverage', '/notifications?tab=silences', '/notifications?tab=deliveries',
  '/sources', '/entities', '/entities?kind=host', '/dashboards', '/dashboards/ready-everything', '/admin/audit', '/admin/keys', '/admin/users', '/me',
];

/** Nothing that a value could have made is in the page. */
async function only_text(page) {
  await page.waitForLoadState('networkidle').catch(() => {});
  const made = await page.evaluate(() => {
    const own = (element) => element.closest('svg.icon, nav, header') !== null;
    return [...document.body.querySelectorAll('script, img, iframe, object, embed, math, style, link, meta, base, form[action], svg script, svg animate, svg use, [onload], [onerror], [onfocus], [onmouseover], [ontoggle], a[href^="javascript"], a[href*="evil.example"]:not([href^="/"]), [srcdoc], details[ontoggle]')]
      .filter((element) => !own(element))
      .map((element) => element.outerHTML.slice(0, 120));
  });
  expect(made.length === 0, `a value became ${made.slice(0, 3).join(' ; ')}`);
  // What somebody asked stands in the query as they wrote it, and in the colours that lie under it.
  const shown = await page.evaluate(() => {
    const [text, layer] = [document.body.innerText, document.querySelector('[aria-label="Search query"]')?.parentElement?.innerText ?? ''];
    return layer ? text.replace(layer, '') : text;
  });
  expect(!/[\u202a-\u202e\u2066-\u2069\u200b-\u200d\u00ad\u001b\u009b]/.test(shown), 'a character that is not seen is in the text of the page');
}

async function walk(browser, viewport, scheme) {
  const name = viewport.width < 900 ? 'narrow' : 'wide';
  const page = await open(browser, viewport, scheme);
  await page.goto(`${BASE}/login`);
  await sign_in(page);
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  for (const path of PAGES) {
    await check(`${name}: ${path}`, async () => {
      await page.goto(BASE + path);
      await page.getByRole('heading', { level: 1 }).waitFor();
      await only_text(page);
      await no_sideways(page);
      await shot(page, `${name}${path.replace(/\W+/g, '-')}`);
    });
  }
  await check(`${name}: every value in the panel of its event`, async () => {
    await page.goto(`${BASE}/search?from=all&q=${encodeURIComponent('event.kind:hostile')}`);
    await count_status(page).waitFor();
    const grid = page.getByRole('grid', { name: 'Events' });
    const panel = page.getByRole('complementary', { name: /Event details/ });
    for (let row = 1; row <= VALUES.length; row += 6) {
      const height = await grid.locator('[role=row][aria-rowindex]').first().evaluate((element) => element.offsetHeight);
      await grid.getByRole('rowgroup').last().evaluate((box, top) => (box.scrollTop = top), (row - 1) * height);
      await grid.locator(`[aria-rowindex="${row}"]`).click();
      await panel.getByRole('button', { name: /Filter for/ }).first().waitFor();
      await panel.getByText('Original record').click();
      await only_text(page);
      await page.getByRole('button', { name: 'Close event details' }).click();
      await panel.waitFor({ state: 'detached' });
    }
  });
  await check(`${name}: an alert, its note and its entity`, async () => {
    for (const place of [1, 20, 40]) {
      await page.goto(`${BASE}/alerts?state=all`);
      await page.getByRole('table', { name: 'Alerts' }).getByRole('link', { name: /^Value / }).nth(place).click();
      await page.getByRole('heading', { name: 'Why this fired' }).waitFor();
      const notes = page.getByRole('region', { name: 'Notes' });
      await notes.getByText(/^note /).first().waitFor().catch(async () => {
        throw new Error(`no note of ${await page.getByRole('heading', { level: 1 }).innerText()} at ${page.url()}: ${await notes.innerText()}`);
      });
      await only_text(page);
    }
    await shot(page, `${name}-alert`, { fullPage: true });
  });
  await check(`${name}: the page of each value as an entity`, async () => {
    for (const value of VALUES.filter((_, place) => place % 6 === 0)) {
      await page.goto(`${BASE}/entities/user/${encodeURIComponent(value)}`);
      await page.getByRole('heading', { name: 'Activity' }).waitFor();
      await only_text(page);
    }
  });
  await check(`${name}: each value as what is searched for`, async () => {
    // An escape of JSON is not one of the query language.
    for (const value of VALUES.filter((value) => !JSON.stringify(value).includes('\\')).filter((_, place) => place % 4 === 0)) {
      await page.goto(`${BASE}/search?from=all&q=${encodeURIComponent(JSON.stringify(value))}&cols=${encodeURIComponent(`timestamp,${value}`)}&group=${encodeURIComponent(value)}`);
      await page.getByRole('heading', { level: 1, name: 'Search' }).waitFor();
      await only_text(page);
    }
  });
  await check(`${name}: what people saved`, async () => {
    await page.goto(`${BASE}/search`);
    await page.getByRole('button', { name: 'Saved searches' }).click();
    await page.getByRole('button', { name: /^saved / }).first().waitFor();
    await only_text(page);
  });
  await page.context().close();
}

const browser = await launch();
try {
  await walk(browser, WIDE, 'light');
  await walk(browser, NARROW, 'dark');
} finally {
  await browser.close();
}
await conclude();
