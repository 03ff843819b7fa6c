// From the one-time link of the first start to the first event, the first rule that is tried and the first mail, with what
// the pages offer and nothing else. LOGWARDEN_SETUP is the link; see browser.mjs for the rest.
import { execFileSync } from 'node:child_process';
import { PASSWORD, USER, WIDE, check, conclude, expect, launch, main, no_axe_findings, open, shot } from './browser.mjs';

const browser = await launch();
try {
  const page = await open(browser, WIDE, 'light');
  await check('the link leads to the first administrator, who is signed in at once', async () => {
    await page.goto(process.env.LOGWARDEN_SETUP);
    await page.getByRole('heading', { level: 1, name: 'Set up Logwarden' }).waitFor();
    await no_axe_findings(page);
    // A code that is refused, then a form that the browser itself stops: only the latter is said.
    await page.getByLabel('Set-up code').fill('not-the-code');
    await page.getByRole('textbox', { name: 'User name' }).fill(USER);
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByRole('button', { name: 'Create administrator' }).click();
    await page.getByRole('alert').waitFor();
    await page.getByRole('textbox', { name: 'User name' }).fill('');
    await page.getByRole('button', { name: 'Create administrator' }).click();
    await page.getByRole('alert').waitFor({ state: 'detached' });
    await page.getByLabel('Set-up code').fill(new URLSearchParams(new URL(process.env.LOGWARDEN_SETUP).hash.slice(1)).get('code'));
    await page.getByRole('textbox', { name: 'User name' }).fill(USER);
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await shot(page, '1-set-up');
    await page.getByRole('button', { name: 'Create administrator' }).click();
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  });
  await check('an empty overview says what to do first', async () => {
    await page.getByRole('heading', { name: 'No source has sent anything yet' }).waitFor();
    await no_axe_findings(page);
    await shot(page, '2-overview');
    await main(page).getByRole('link', { name: 'Add source' }).click();
  });
  await check('the snippet ships the first event, which is seen', async () => {
    const dialog = page.getByRole('dialog', { name: 'Add source' });
    await dialog.getByRole('textbox', { name: 'Name' }).fill('shop');
    await dialog.getByRole('button', { name: 'Make token' }).click();
    await dialog.getByText('No event yet…').waitFor();
    await dialog.getByLabel('Send with').selectOption({ label: 'curl' });
    const snippet = (await dialog.getByRole('group', { name: 'Snippet' }).textContent()) ?? '';
    await shot(page, '3-waiting');
    execFileSync('sh', ['-c', snippet], { stdio: 'pipe' });
    await dialog.getByText('First event seen.').waitFor();
    await shot(page, '4-seen');
    await dialog.getByRole('link', { name: 'Search its events' }).click();
    await page.getByRole('grid', { name: 'Events', exact: true }).locator('[aria-rowindex="1"]').waitFor();
  });
  await check('a rule is tried over what has come', async () => {
    await page.getByRole('button', { name: 'Create rule', exact: true }).click();
    await page.getByText('None: the rule can be used.').waitFor();
    await page.getByRole('button', { name: 'Backtest', exact: true }).click();
    const answer = page.getByRole('region', { name: 'Backtest' }).getByText(/would open 1 alert/);
    await answer.waitFor({ timeout: 60_000 });
    await shot(page, '5-tried');
  });
  await check('a test mail is sent', async () => {
    await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Notifications' }).click();
    await page.getByRole('button', { name: /Send test/ }).first().click();
    const said = page.getByRole('status').filter({ hasText: /elivered/ });
    await said.waitFor();
    expect(/250/.test((await said.textContent()) ?? ''), 'the answer of the mail server is not shown');
    await shot(page, '6-mailed');
  });
} finally {
  await browser.close();
}
await conclude();
