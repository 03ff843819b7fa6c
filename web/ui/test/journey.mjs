// The way of an analyst through the product, as ui.md tells it: from the door to an alert that is handled, a rule that is
// written, and out again; by pointer or by keyboard alone, wide or narrow.
import { BASE, check, count_status, expect, main, no_axe_findings, no_sideways, open, sign_in, titled, token_for_records, PASSWORD, USER } from './browser.mjs';

/** Of what is shipped while the page looks on. */
const SEEN_WITHIN_MS = 2000;

export async function walk_journey(browser, viewport, scheme, hands_of) {
  const page = await open(browser, viewport, scheme);
  const hands = hands_of(page);
  const is_narrow = viewport.width < 900;
  const step = (name, work) => check(`${is_narrow ? 'narrow' : 'wide'}, ${hands.name}: ${name}`, work);
  const sound = async () => {
    await no_axe_findings(page);
    await no_sideways(page);
  };
  const to_page = async (name) => {
    if (is_narrow) await hands.press(page.getByRole('button', { name: 'Menu', exact: true }));
    await hands.press(page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name }));
  };
  const grid = page.getByRole('grid', { name: 'Events', exact: true });
  const panel = page.getByRole('complementary', { name: /Event details/ });
  const filters = page.getByRole('list', { name: 'Active filters' });

  await step('sign in', async () => {
    await page.goto(`${BASE}/login`);
    await hands.write(page.getByRole('textbox', { name: 'User name' }), USER);
    await hands.write(page.getByLabel('Password', { exact: true }), PASSWORD);
    await hands.press(page.getByRole('button', { name: 'Sign in', exact: true }));
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
    await sound();
  });
  await step('search', async () => {
    await to_page('Search');
    await hands.press(page.getByRole('button', { name: /Time range/ }));
    await hands.press(page.getByRole('button', { name: 'All time', exact: true }));
    await hands.write(page.getByRole('textbox', { name: 'Search query' }), '*');
    await hands.press(main(page).getByRole('button', { name: 'Search', exact: true }));
    await count_status(page).waitFor();
    await grid.locator('[aria-rowindex="1"]').waitFor();
    await sound();
  });
  await step('facet', async () => {
    await hands.press(page.getByRole('region', { name: 'Fields', exact: true }).getByRole('checkbox').first());
    await filters.getByRole('listitem').first().waitFor();
    await count_status(page).waitFor();
  });
  await step('zoom, and back', async () => {
    const before = page.url();
    const chart = page.getByRole('application', { name: /Events over time/ });
    await page.getByText(/ per bar$|^Partial: /).waitFor();
    // A chart that is drawn anew, or moves as filters come, takes no drag: a person tries once more.
    for (let tries = 0; page.url() === before && tries < 4; tries += 1) {
      await hands.zoom(chart);
      await page.waitForURL((url) => url.href !== before, { timeout: 4000 }).catch(() => {});
    }
    expect(page.url() !== before, 'the chart does not zoom');
    await count_status(page).waitFor();
    await page.goBack();
    await page.waitForURL(before);
    await count_status(page).waitFor();
  });
  await step('the keyboard stays in the grid wherever it goes', async () => {
    if (hands.name !== 'keyboard') return;
    await hands.reach(grid.getByRole('rowgroup').last());
    for (const key of ['ArrowDown', 'PageDown', 'End', 'PageUp', 'ArrowUp', 'Home', 'End', 'Home']) {
      await page.keyboard.press(key);
      await page.waitForFunction(() => document.activeElement?.getAttribute('role') === 'row');
      expect((await grid.getByRole('row').count()) <= 61, 'more than 60 rows in the document');
    }
  });
  await step('open an event and filter out', async () => {
    await hands.open_row(grid, 2);
    await panel.getByRole('button', { name: /Filter for/ }).first().waitFor();
    await sound();
    await hands.press(panel.getByRole('button', { name: 'Filter out dataset' }));
    await filters.getByText(/NOT dataset:/).waitFor();
    await page.keyboard.press('Escape');
    await panel.waitFor({ state: 'detached' });
  });
  await step('the shared link opens the same view in a new session', async () => {
    await hands.press(page.getByRole('button', { name: 'Share', exact: true }));
    const link = await page.getByRole('dialog', { name: 'Share this view' }).getByRole('textbox').inputValue();
    await page.keyboard.press('Escape');
    const other = await open(browser, viewport, scheme);
    await other.goto(link);
    await sign_in(other);
    await count_status(other).waitFor();
    expect((await other.getByRole('textbox', { name: 'Search query' }).inputValue()).includes('NOT dataset:'), 'another query');
    await other.context().close();
  });
  await step('live tail shows a new event, and a script in it stays text', async () => {
    const token = await token_for_records(page);
    const mark = `journey${Date.now()}`;
    await page.goto(`${BASE}/search?q=${mark}`);
    await hands.press(page.getByRole('switch', { name: 'Live tail' }));
    await page.getByRole('status').filter({ hasText: /live/ }).waitFor();
    const message = `<script>alert("${mark}")</script>`;
    const sent = await fetch(`${BASE}/api/v1/ingest`, { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: JSON.stringify({ message, dataset: 'journey', severity: 'info', constructor: 'any', 'a b:c': 'any' }) });
    expect(sent.ok, `the server answered ${sent.status}`);
    await grid.getByText(message).waitFor({ timeout: SEEN_WITHIN_MS });
    // It has names that are ours, those of objects, and one that a query must quote.
    await hands.open_row(grid, 1);
    await panel.getByRole('button', { name: 'Copy constructor' }).waitFor();
    await hands.press(panel.getByRole('button', { name: 'Filter for a b:c' }));
    await filters.getByText('"a b:c":any').waitFor();
    await page.keyboard.press('Escape');
    await panel.waitFor({ state: 'detached' });
    await hands.press(page.getByRole('switch', { name: 'Live tail' }));
  });
  await step('open an alert and read why', async () => {
    await to_page(/^Alerts/);
    await hands.press(page.getByRole('table', { name: 'Alerts' }).getByRole('row').nth(1).getByRole('link').first());
    await page.getByRole('region', { name: 'Why this fired' }).waitFor();
    for (const name of ['Evidence', 'Timeline', 'Notes']) await page.getByRole('region', { name, exact: true }).waitFor();
    await sound();
  });
  await step('acknowledge, note, silence', async () => {
    await hands.press(page.getByRole('button', { name: 'Acknowledge', exact: true }));
    await page.getByLabel('State').filter({ hasText: 'acknowledged' }).waitFor();
    const note = `<b>journey</b> ${Date.now()}`;
    await hands.write(page.getByRole('textbox', { name: /Add a note/ }), note);
    await hands.press(page.getByRole('button', { name: /Add note/ }));
    await page.getByRole('region', { name: 'Notes' }).getByText(note).waitFor();
    await hands.press(page.getByRole('button', { name: /Silence/ }));
    const dialog = page.getByRole('dialog', { name: /Silence/ });
    await sound();
    await hands.write(dialog.getByRole('textbox', { name: /Reason/ }), 'journey');
    await hands.press(dialog.getByRole('button', { name: 'Create silence', exact: true }));
    await dialog.waitFor({ state: 'detached' });
  });
  await step('a rule from the search: a problem, a backtest, saved as testing', async () => {
    await page.goto(`${BASE}/search?q=${encodeURIComponent('event.outcome:failure AND NOT user.name:nobody')}&from=now-1h`);
    await hands.press(page.getByRole('button', { name: 'Create rule', exact: true }));
    const editor = page.getByRole('textbox', { name: /Rule definition/ });
    const fine = page.getByText('None: the rule can be used.');
    await fine.waitFor();
    await hands.reach(editor);
    await page.keyboard.press('Control+End');
    await page.keyboard.type('nonsense');
    await page.getByRole('region', { name: /Problems/ }).getByText(/line \d+/).first().waitFor();
    await sound();
    await page.keyboard.press('Control+z');
    await fine.waitFor();
    await hands.tab(page.getByRole('tab', { name: 'Form', exact: true }));
    await hands.write(page.getByRole('textbox', { name: 'Title', exact: true }), `Journey ${Date.now()}`);
    await hands.choose(page.getByRole('combobox', { name: 'Severity' }), 'low');
    await sound();
    await hands.tab(page.getByRole('tab', { name: 'YAML', exact: true }));
    await editor.getByText(/Journey \d+/).waitFor();
    await fine.waitFor();
    await hands.choose(page.getByLabel('over the'), 'last hour');
    await hands.press(page.getByRole('button', { name: 'Backtest', exact: true }));
    await page.getByRole('region', { name: 'Backtest' }).getByText(/would open .* alerts?/).waitFor({ timeout: 60_000 });
    await sound();
    await hands.press(page.getByRole('button', { name: 'Save as testing' }));
    await page.waitForURL(/\/rules\/[0-9a-f-]{36}$/);
    await titled(page, 'Journey');
  });
  await step('send a test notification', async () => {
    await to_page('Notifications');
    const table = page.getByRole('table', { name: 'Notifiers' });
    await table.or(page.getByText('Nobody is told about alerts yet.')).first().waitFor();
    if ((await table.count()) === 0) return;
    await hands.press(page.getByRole('button', { name: /Send test/ }).first());
    await page.getByRole('status').filter({ hasText: /elivered/ }).waitFor();
    await sound();
  });
  await step('sign out', async () => {
    await hands.pick(page.getByRole('button', { name: 'User menu' }), page.getByRole('menuitem', { name: 'Sign out' }));
    await page.waitForURL(`${BASE}/login`);
  });
  await page.context().close();
}
