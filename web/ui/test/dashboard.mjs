// Walks through the dashboard of a running server by role and name, as an analyst would, and fails on every console
// error, policy violation or missing name.
//
// See browser.mjs for whom and where. With `all` as the second argument every page is seen in both themes on both
// widths, else in each once. The server must hold at least one event, and for the part on alerts one open alert.
import {
  BASE, NARROW, USER, WIDE, check, conclude, count_status, expect, launch, main, open, shot, sign_in, titled,
  token_for_records, watch,
} from './browser.mjs';
import { walk_care } from './care.mjs';
import { keyboard, pointer } from './hands.mjs';
import { walk_journey } from './journey.mjs';
import { walk_pages } from './pages.mjs';
import { walk_parts } from './parts.mjs';
import { walk_sight } from './sight.mjs';
import { walk_writing } from './writing.mjs';

/** More than live tail shows at once. */
const BURST_EVENTS = 6000;
const BURST_BATCHES = 4;

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
  await shot(page, 'search');

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
    await shot(page, 'event');
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
    await page.getByRole('alert').filter({ hasText: /never closed/ }).waitFor();
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
  await check('what the panel unfolds and what is broken stand in the URL', async () => {
    await page.goto(`${BASE}/search?from=all&live=maybe`);
    await page.getByRole('alert').filter({ hasText: 'live=maybe' }).waitFor();
    await page.getByRole('grid', { name: 'Events' }).locator('[aria-rowindex="1"]').click();
    const panel = page.getByRole('complementary', { name: /Event details/ });
    await panel.getByText('Original record').click();
    await page.waitForURL(/panel=raw/);
    await page.reload();
    await panel.locator('details[open]').getByText('Original record').waitFor();
    await page.keyboard.press('f');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('f');
    await page.getByRole('list', { name: 'Active filters' }).getByText(/^dataset:/).waitFor();
  });
  await check('what was found stays while the server is away', async () => {
    await page.goto(`${BASE}/search?from=all`);
    await count_status(page).waitFor();
    const loaded = page.getByText(/of .* loaded$/);
    const chart = page.getByRole('application', { name: /Events over time/ });
    await page.getByText(/ per bar$/).waitFor();
    const before = await loaded.textContent();
    await page.context().setOffline(true);
    try {
      await page.getByRole('button', { name: 'Search', exact: true }).click();
      await page.getByRole('status').filter({ hasText: 'not up to date' }).waitFor();
      expect((await loaded.textContent()) === before, `${before} became ${await loaded.textContent()}`);
      await chart.waitFor();
    } finally {
      await page.context().setOffline(false);
    }
    await page.getByRole('status').filter({ hasText: 'not up to date' }).waitFor({ state: 'detached' });
    await count_status(page).waitFor();
  });
  await check('live tail switches on and off', async () => {
    await page.goto(`${BASE}/search`);
    const live = page.getByRole('switch', { name: 'Live tail' });
    await live.check();
    await page.getByRole('status').filter({ hasText: /live/ }).waitFor();
    await live.uncheck();
    expect(!page.url().includes('live=1'), 'the URL still says live');
  });
  await check('live tail counts what it leaves out', async () => {
    const mark = `burst${Date.now()}`;
    const token = await token_for_records(page);
    await page.goto(`${BASE}/search?q=${mark}&live=1`);
    const status = page.getByRole('status').filter({ hasText: /live/ });
    await status.waitFor();
    for (let batch = 0; batch < BURST_BATCHES; batch += 1) {
      const body = Array.from({ length: BURST_EVENTS / BURST_BATCHES }, (_, number) => JSON.stringify({ message: `${mark} ${number}`, dataset: 'burst' })).join('\n');
      const sent = await fetch(`${BASE}/api/v1/ingest`, { method: 'POST', headers: { authorization: `Bearer ${token}` }, body });
      expect(sent.ok, `the server answered ${sent.status}`);
    }
    await status.filter({ hasText: /left out/ }).waitFor();
    await status.filter({ hasText: new RegExp(`^${String(BURST_EVENTS)[0]}.000 events`) }).waitFor();
    await page.getByRole('switch', { name: 'Live tail' }).uncheck();
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
  await shot(page, 'alerts');
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
  await shot(page, 'alert', { fullPage: true });
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

async function walk_rules(page) {
  await check('a rule is drafted from a search, its problem marked, tried over the past, and saved as testing', async () => {
    await page.goto(`${BASE}/search?q=${encodeURIComponent('event.outcome:failure AND NOT user.name:nobody')}&from=all`);
    await page.getByRole('button', { name: 'Create rule', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: 'New rule' }).waitFor();
    const editor = page.getByRole('textbox', { name: /Rule definition/ });
    await editor.waitFor();
    expect((await editor.textContent())?.includes('event.outcome'), 'the draft does not hold the search');
    await page.getByText('None: the rule can be used.').waitFor();
    await editor.click();
    await page.keyboard.press('Control+End');
    // Single-key shortcuts do not act while somebody types.
    await page.keyboard.type('g o nonsense ?');
    const problems = page.getByRole('region', { name: /Problems/ });
    await problems.getByText(/line \d+/).first().waitFor();
    await shot(page, 'rule-problem');
    await page.keyboard.press('Control+z');
    await page.getByText('None: the rule can be used.').waitFor();
    await page.getByLabel('over the').selectOption({ label: 'last hour' });
    await page.getByRole('button', { name: 'Backtest', exact: true }).click();
    await page.getByRole('region', { name: 'Backtest' }).getByText(/would open .* alerts?/).waitFor({ timeout: 60_000 });
    await page.getByRole('button', { name: 'Save as testing' }).click();
    await page.waitForURL(/\/rules\/[0-9a-f-]{36}$/);
    await page.getByText('Saved, testing.').waitFor();
    await shot(page, 'rule-saved');
  });
  await check('the rule can be enabled and removed', async () => {
    await page.getByRole('button', { name: 'Enable', exact: true }).click();
    await page.getByText('Saved, enabled.').waitFor();
    await page.getByRole('button', { name: 'Remove', exact: true }).click();
    await page.getByRole('dialog', { name: 'Remove rule' }).getByRole('button', { name: 'Remove', exact: true }).click();
    await page.waitForURL(`${BASE}/rules`);
  });
  await check('a bundled rule is shown and offers a copy', async () => {
    await page.getByRole('table', { name: 'Rules' }).getByRole('link').first().click();
    await page.getByRole('link', { name: 'Copy and change' }).click();
    await page.getByRole('heading', { level: 1, name: 'New rule' }).waitFor();
    // It may name fields that no event here has.
    await page.getByRole('region', { name: 'Problems' }).getByText(/rule can be used/).waitFor();
  });
  await check('Sigma is imported as testing or refused with the reason', async () => {
    await page.goto(`${BASE}/rules`);
    await page.getByRole('button', { name: /Import Sigma/ }).click();
    const dialog = page.getByRole('dialog', { name: 'Import Sigma' });
    const rule = (title, condition) => `title: ${title}\nid: import-${title}-${Date.now()}\nlogsource: {}\ndetection:\n  a: { user.name: ${title} }\n  condition: ${condition}\n`;
    await dialog.getByRole('textbox').fill(`${rule('good', 'a')}---\n${rule('bad', 'nothing')}`);
    await dialog.getByRole('button', { name: 'Import', exact: true }).click();
    await dialog.getByText('1 rule of 2 imported.').waitFor();
    await dialog.getByText(/refused/).waitFor();
    await dialog.getByRole('link', { name: 'good' }).click();
    await page.getByRole('button', { name: 'Remove', exact: true }).click();
    await page.getByRole('dialog', { name: 'Remove rule' }).getByRole('button', { name: 'Remove', exact: true }).click();
    await page.waitForURL(`${BASE}/rules`);
  });
}

async function walk_silence(page) {
  await check('an alert is silenced with a reason, and the silence is ended', async () => {
    await page.goto(`${BASE}/alerts?state=all`);
    await page.getByRole('table', { name: 'Alerts' }).getByRole('row').nth(1).getByRole('link').first().click();
    await page.getByRole('button', { name: /Silence/ }).click();
    const dialog = page.getByRole('dialog', { name: /Silence/ });
    await dialog.getByText(/it would have muted \d+ alerts?/).waitFor();
    const reason = `<i>load test</i> ${Date.now()}`;
    await dialog.getByRole('textbox', { name: /Reason/ }).fill(reason);
    await shot(page, 'silence');
    await dialog.getByRole('button', { name: 'Create silence', exact: true }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByText(reason).waitFor();
    await page.goto(`${BASE}/notifications?tab=silences`);
    const row = page.getByRole('row').filter({ hasText: reason });
    await row.getByRole('button', { name: /End now/ }).click();
    await row.getByText(/ended by/).waitFor();
  });
}

async function walk_notifications(page) {
  await check('a test notification shows what the receiver said', async () => {
    await page.goto(`${BASE}/notifications`);
    for (const name of ['Notifiers', 'Routes', 'On call', 'Silences', 'Deliveries']) await page.getByRole('tab', { name, exact: true }).waitFor();
    const table = page.getByRole('table', { name: 'Notifiers' });
    await table.or(page.getByText('Nobody is told about alerts yet.')).first().waitFor();
    if ((await table.count()) === 0) return;
    await page.getByRole('button', { name: /Send test/ }).first().click();
    await page.getByRole('status').filter({ hasText: /elivered/ }).waitFor();
  });
}

async function walk_routing(page) {
  const name = `browser-${Date.now()}`;
  const saved = () => page.getByRole('status').filter({ hasText: 'Saved.' }).waitFor();
  await check('a notifier is added, a wrong one is refused with its place', async () => {
    await page.goto(`${BASE}/notifications`);
    await page.getByRole('button', { name: 'New notifier', exact: true }).click();
    const dialog = page.getByRole('dialog', { name: 'New notifier' });
    await dialog.getByRole('textbox', { name: 'Name' }).fill(name);
    await dialog.getByRole('combobox', { name: 'Kind' }).selectOption('webhook');
    await dialog.getByRole('textbox', { name: 'Address' }).fill('https://hooks.example/x');
    await dialog.getByRole('textbox', { name: /Secret that signs/ }).fill('file:/etc/passwd');
    await dialog.getByRole('button', { name: 'Save notifier' }).click();
    await dialog.getByRole('alert').filter({ hasText: 'secret' }).waitFor();
    await dialog.getByRole('textbox', { name: /Secret that signs/ }).fill('');
    await dialog.getByRole('textbox', { name: 'Address' }).fill('https://hooks.example/key');
    await dialog.getByRole('button', { name: 'Save and send test' }).click();
    await dialog.getByRole('status').filter({ hasText: /^Saved\. Test (not )?delivered/ }).waitFor({ timeout: 60_000 });
    await shot(page, 'notifier-tested');
    await page.keyboard.press('Escape');
    await page.getByRole('row').filter({ hasText: name }).waitFor();
    await page.getByRole('button', { name: `Edit notifier ${name}` }).click();
    const edit = page.getByRole('dialog', { name: 'Edit notifier' });
    await edit.getByText('Save notifier').waitFor();
    await page.waitForFunction(() => [...document.querySelectorAll('dialog input')].some(({ value }) => value === 'https://hooks.example/***'));
    await shot(page, 'notifier');
    await page.keyboard.press('Escape');
  });
  await check('a rota says who is on duty', async () => {
    await page.goto(`${BASE}/notifications?tab=oncall`);
    await page.getByRole('button', { name: 'New rota', exact: true }).click();
    const dialog = page.getByRole('dialog', { name: 'New rota' });
    await dialog.getByRole('textbox', { name: 'Name', exact: true }).first().fill(name);
    const person = dialog.getByRole('group', { name: 'Person 1' });
    await person.getByLabel('Name').fill('ana');
    await person.getByLabel('told through').fill(name);
    await dialog.getByRole('button', { name: 'Save rota' }).click();
    await saved();
    await page.goto(`${BASE}/notifications?tab=oncall&tz=Asia/Kolkata`);
    const rota = page.getByRole('region', { name: `Rota ${name}` });
    await rota.getByText('On duty: ana').waitFor();
    // What is written is meant in the zone that everything is shown in, which is not the browser's.
    await rota.getByLabel('from').fill('2030-03-01T08:00');
    await rota.getByLabel('to', { exact: true }).fill('2030-03-02T08:00');
    await rota.getByRole('button', { name: 'Add stand-in' }).click();
    await saved();
    await rota.getByText(/stands in from 2030-03-01 08:00/).waitFor();
    await shot(page, 'rota', { fullPage: true });
  });
  await check('a route with an escalation is written, asked and removed', async () => {
    await page.goto(`${BASE}/notifications?tab=routes`);
    await page.getByRole('button', { name: 'New route', exact: true }).click();
    const dialog = page.getByRole('dialog', { name: 'New route' });
    await dialog.getByRole('textbox', { name: 'Name', exact: true }).fill(name);
    await dialog.getByRole('combobox', { name: 'Least severity' }).selectOption('critical');
    await dialog.getByRole('checkbox', { name, exact: true }).check();
    await dialog.getByRole('button', { name: 'Add escalation' }).click();
    await dialog.getByRole('combobox', { name: 'Who is told' }).fill(`rota:${name}`);
    await shot(page, 'route');
    await dialog.getByRole('button', { name: 'Save route' }).click();
    await saved();
    await page.getByText(`after 15 min unacknowledged: rota:${name}`).waitFor();
    await page.getByRole('combobox', { name: 'Severity' }).selectOption('critical');
    await page.getByRole('status').filter({ hasText: 'ana is on duty' }).waitFor();
    await shot(page, 'routes', { fullPage: true });
    await page.getByRole('button', { name: `Remove route ${name}` }).click();
    await saved();
  });
  await check('what nothing names any more is removed', async () => {
    await page.goto(`${BASE}/notifications?tab=oncall`);
    await page.getByRole('button', { name: `Remove rota ${name}` }).click();
    await saved();
    await page.goto(`${BASE}/notifications`);
    await page.getByRole('button', { name: `Remove notifier ${name}` }).click();
    await page.getByRole('row').filter({ hasText: name }).waitFor({ state: 'detached' });
  });
}

async function walk_sources(page) {
  await check('a source is added, waited for, and seen', async () => {
    const name = `browser-${Date.now()}`;
    await page.goto(`${BASE}/sources`);
    await page.getByRole('button', { name: 'Add source' }).first().click();
    const dialog = page.getByRole('dialog', { name: 'Add source' });
    await dialog.getByRole('textbox', { name: 'Name' }).fill(name);
    await dialog.getByRole('button', { name: 'Make token' }).click();
    await dialog.getByText('No event yet…').waitFor();
    const token = (await dialog.locator('code').first().textContent()) ?? '';
    expect(token.startsWith('lw_'), 'no token is shown');
    for (const kind of ['winston', 'rsyslog', 'Docker', 'curl']) {
      await dialog.getByLabel('Send with').selectOption({ label: kind });
      expect(((await dialog.getByRole('group', { name: 'Snippet' }).textContent()) ?? '').includes(token), `no token for ${kind}`);
    }
    await shot(page, 'add-source');
    const sent = await fetch(`${BASE}/api/v1/ingest`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify({ message: 'hello <script>alert(1)</script>', user: 'ann' }),
    });
    expect(sent.ok, `the server answered ${sent.status}`);
    await dialog.getByText('First event seen.').waitFor();
    await dialog.getByText('hello <script>alert(1)</script>').first().waitFor();
    await dialog.getByRole('link', { name: 'Open the source' }).click();
    await page.getByRole('heading', { level: 1, name }).waitFor();
  });
}

async function walk_saved(page) {
  await check('a search is saved, opened and removed', async () => {
    const name = `search ${Date.now()}`;
    await page.goto(`${BASE}/search?q=severity%3Aerror&from=now-4h`);
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByRole('dialog', { name: 'Save search' }).getByLabel('Name').fill(name);
    await page.getByRole('button', { name: 'Save search' }).click();
    await page.goto(`${BASE}/search`);
    await page.getByRole('button', { name: 'Saved searches' }).click();
    await page.getByRole('button', { name, exact: true }).click();
    await page.waitForURL((url) => url.searchParams.get('q') === 'severity:error' && url.searchParams.get('from') === 'now-4h');
    await page.getByRole('button', { name: 'Saved searches' }).click();
    await page.getByRole('button', { name: `Remove saved search ${name}` }).click();
    await page.getByRole('button', { name, exact: true }).waitFor({ state: 'detached' });
    await page.keyboard.press('Escape');
  });
  await check('a dashboard is made, changed, kept and removed', async () => {
    await page.goto(`${BASE}/dashboards`);
    await page.getByRole('button', { name: 'New dashboard' }).click();
    await page.getByRole('dialog').getByLabel('Name').fill('Browser check');
    await page.getByRole('button', { name: 'Make dashboard' }).click();
    await page.getByRole('button', { name: 'Add panel' }).click();
    await page.getByRole('group', { name: 'Panel 1' }).getByLabel('Title').fill('All <b>events</b>');
    await page.getByRole('group', { name: 'Panel 1' }).getByLabel('Shows').selectOption('number');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByRole('heading', { level: 2, name: 'All <b>events</b>' }).waitFor();
    await page.reload();
    await page.getByRole('heading', { level: 2, name: 'All <b>events</b>' }).waitFor();
    await page.getByRole('button', { name: 'Remove', exact: true }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Remove', exact: true }).click();
    await page.waitForURL(`${BASE}/dashboards`);
  });
}

async function walk_admin(page) {
  await check('a user and a key come and go', async () => {
    const name = `eve-${Date.now()}`;
    await page.goto(`${BASE}/admin/users`);
    await page.getByRole('button', { name: 'Add user' }).click();
    const dialog = page.getByRole('dialog', { name: 'Add user' });
    await dialog.getByLabel('User name').fill(name);
    await dialog.getByLabel('Password').fill('several words make a password');
    await dialog.getByRole('button', { name: 'Add user' }).click();
    await page.getByRole('button', { name: `Remove ${name}` }).click();
    await page.getByRole('dialog', { name: 'Remove user' }).getByRole('button', { name: 'Remove', exact: true }).click();
    await page.getByRole('button', { name: `Remove ${name}` }).waitFor({ state: 'detached' });
    await page.goto(`${BASE}/admin/keys`);
    await page.getByRole('button', { name: 'Add key' }).click();
    await page.getByRole('dialog', { name: 'Add key' }).getByLabel('Name').fill(name);
    await page.getByRole('button', { name: 'Make key' }).click();
    await page.getByText(/^lw_/).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: `Revoke ${name}` }).click();
    await page.getByRole('dialog', { name: 'Revoke key' }).getByRole('button', { name: 'Revoke', exact: true }).click();
    await page.getByRole('row').filter({ hasText: name }).getByText('revoked').waitFor();
  });
  await check('integrity is verified, and it is written down who did what', async () => {
    await page.goto(`${BASE}/admin/storage`);
    await page.getByRole('button', { name: 'Verify integrity' }).click();
    await page.getByRole('status').filter({ hasText: /were read/ }).waitFor({ timeout: 60_000 });
    await page.goto(`${BASE}/admin/audit`);
    await page.getByRole('table', { name: 'Audit records' }).getByRole('row').nth(1).waitFor();
    await page.getByLabel('Kind').selectOption({ label: 'Sign-ins' });
    await page.getByRole('row').filter({ hasText: 'session.create' }).first().waitFor();
  });
  await check('retention says what a change would remove before it is saved', async () => {
    await page.goto(`${BASE}/admin/retention`);
    await page.getByRole('button', { name: 'Add policy' }).click();
    await page.getByRole('group', { name: /Policy/ }).last().getByLabel('Dataset').fill('no-such-dataset');
    await page.getByRole('group', { name: /Policy/ }).last().getByLabel('Days').fill('30');
    expect(await page.getByRole('button', { name: 'Save', exact: true }).isDisabled(), 'it can be saved unseen');
    await page.getByRole('button', { name: 'What would it remove?' }).click();
    await page.getByText('It would remove nothing now.').waitFor();
  });
}

async function walk_keyboard(page) {
  await check('shortcuts go to pages and open the help', async () => {
    await page.goto(`${BASE}/`);
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
    for (const [key, path] of [['s', '/search'], ['a', '/alerts'], ['r', '/rules'], ['n', '/notifications'], ['e', '/entities'], ['o', '/']]) {
      await page.keyboard.press('g');
      await page.keyboard.press(key);
      await page.waitForURL((url) => url.pathname === path);
    }
    await page.goto(`${BASE}/`);
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
    await page.keyboard.press('Tab');
    expect((await page.evaluate(() => document.activeElement?.textContent)) === 'Skip to content', 'the skip link is not first');
  });
  await check('a panel that is left with Tab closes, and a dialog of the URL gives the focus to the page', async () => {
    await page.goto(`${BASE}/search?from=all`);
    const button = page.getByRole('button', { name: 'Share', exact: true });
    await button.press('Enter');
    const panel = page.getByRole('dialog', { name: 'Share this view' });
    await panel.waitFor();
    for (let presses = 0; presses < 20 && (await panel.count()) > 0; presses += 1) await page.keyboard.press('Tab');
    await panel.waitFor({ state: 'detached' });
    await page.goto(`${BASE}/alerts?state=all`);
    await page.getByRole('table', { name: 'Alerts' }).getByRole('link').first().focus();
    await page.keyboard.press('s');
    await page.getByRole('dialog', { name: /Silence/ }).waitFor();
    await page.keyboard.press('Escape');
    await page.waitForFunction(() => document.activeElement?.tagName === 'H1');
  });
}

async function walk_narrow(browser) {
  const page = await open(browser, NARROW, 'dark');
  await check('a stranger is led to the door and back to the page', async () => {
    await page.goto(`${BASE}/alerts`);
    await page.waitForURL(`${BASE}/login`);
    await sign_in(page);
    await page.waitForURL(`${BASE}/alerts`);
  });
  await check('the menu opens the navigation', async () => {
    await page.getByRole('button', { name: 'Menu', exact: true }).click();
    await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Rules' }).waitFor();
  });
  await page.context().close();
}

const browser = await launch();
try {
  const page = await open(browser, WIDE, 'light');
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
    await main(page).getByRole('region', { name: 'Event to alert' }).getByText('p99').waitFor();
    await main(page).getByRole('region', { name: 'Storage' }).getByText('Free disk').waitFor();
  });
  await shot(page, 'overview');
  await walk_search(page);
  await walk_alerts(page);
  await walk_silence(page);
  await walk_rules(page);
  await walk_writing(page);
  await walk_notifications(page);
  await walk_routing(page);
  await walk_sources(page);
  await walk_saved(page);
  await walk_admin(page);
  await walk_parts(browser, page);
  await walk_care(browser, page);
  await walk_keyboard(page);
  await check('rules are listed', async () => {
    await page.getByRole('link', { name: 'Rules', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: 'Rules' }).waitFor();
    await page.getByRole('table', { name: 'Rules' }).getByRole('row').nth(1).waitFor();
  });
  await check('no technique covers another', async () => {
    await page.goto(`${BASE}/rules/coverage`);
    await page.getByRole('grid', { name: 'ATT&CK coverage' }).waitFor();
    const covered = await page.evaluate(() => {
      const places = [...document.querySelectorAll('[role=gridcell] a')].map((cell) => cell.getBoundingClientRect());
      const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom - 0.5 && b.top < a.bottom - 0.5;
      return places.filter((one, at) => places.some((other, place) => place !== at && meet(one, other))).length;
    });
    expect(covered === 0, `${covered} cells cover each other`);
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
  await check('nothing moves sideways between narrow and wide', async () => {
    for (const width of [768, 900, 1024, 1200]) {
      await page.setViewportSize({ width, height: 800 });
      for (const path of ['/', '/search?from=all', '/alerts?state=all', '/rules', '/sources', '/admin/users']) {
        await page.goto(BASE + path);
        await page.getByRole('heading', { level: 1 }).waitFor();
        await page.waitForLoadState('networkidle').catch(() => {});
        const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        expect(over <= 0, `${path} moves sideways by ${over} px at ${width} px`);
      }
    }
    await page.setViewportSize(WIDE);
  });
  await check('signing out leads to the door', async () => {
    await page.getByRole('button', { name: 'User menu' }).click();
    await page.getByRole('menuitem', { name: 'Sign out' }).click();
    await page.waitForURL(`${BASE}/login`);
  });
  await page.context().close();
  await walk_narrow(browser);
  await walk_sight(browser);
  await walk_journey(browser, WIDE, 'light', pointer);
  await walk_journey(browser, WIDE, 'dark', keyboard);
  await walk_journey(browser, NARROW, 'dark', pointer);
  await walk_journey(browser, NARROW, 'light', keyboard);
  await walk_pages(browser, WIDE, 'light');
  await walk_pages(browser, NARROW, 'dark');
  if (process.argv[3] === 'all') {
    await walk_pages(browser, WIDE, 'dark');
    await walk_pages(browser, NARROW, 'light');
  }
} finally {
  await browser.close();
}

await conclude();
