// Who sees a part of the events: the pages say so, and nothing about what that role does not see.
import { BASE, PASSWORD, WIDE, check, expect, main, open } from './browser.mjs';

/** A role of the configuration whose filter nothing matches; without it nothing is walked. */
const ROLE = 'nothing-yet';

export async function walk_parts(browser, admin) {
  await admin.goto(`${BASE}/admin/users`);
  await admin.getByRole('table', { name: 'Users' }).waitFor();
  if ((await admin.getByRole('option', { name: ROLE }).count()) === 0) return;
  const name = `part-${Date.now()}`;
  await check('who sees a part of the events is told so, not that nothing was sent', async () => {
    await admin.getByRole('button', { name: 'Add user' }).click();
    const dialog = admin.getByRole('dialog', { name: 'Add user' });
    await dialog.getByLabel('User name').fill(name);
    await dialog.getByLabel('Password').fill(PASSWORD);
    await dialog.getByLabel('Role').selectOption(ROLE);
    await dialog.getByRole('button', { name: 'Add user' }).click();
    await admin.getByRole('button', { name: `Remove ${name}` }).waitFor();
    const page = await open(browser, WIDE, 'light');
    await page.goto(`${BASE}/login`);
    await page.getByRole('textbox', { name: 'User name' }).fill(name);
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
    await page.getByText('No alert is open.').waitFor();
    await page.goto(`${BASE}/sources`);
    await page.getByText('Your role sees no source as a whole.').waitFor();
    await page.goto(`${BASE}/search?from=all`);
    await page.getByText('Your role sees no event so far.').waitFor();
    for (const path of ['/', '/sources', '/search?from=all']) {
      await page.goto(BASE + path);
      await page.waitForLoadState('networkidle').catch(() => {});
      const said = await main(page).innerText();
      for (const untrue of ['No source has sent', 'No rule has opened']) expect(!said.includes(untrue), `${path} says: ${untrue}`);
    }
    await page.context().close();
  });
  await admin.getByRole('button', { name: `Remove ${name}` }).click();
  await admin.getByRole('dialog', { name: 'Remove user' }).getByRole('button', { name: 'Remove', exact: true }).click();
  await admin.getByRole('button', { name: `Remove ${name}` }).waitFor({ state: 'detached' });
}
