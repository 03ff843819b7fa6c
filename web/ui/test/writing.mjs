// Writing a rule: before the editor's script is there, and as a form that keeps what it does not draw.
import { BASE, check, expect } from './browser.mjs';

const STARS = `title: Stars
id: 7b1f1a10-0000-4000-8000-00000000a11a
logsource: {}
detection:
  # who and what
  chosen:
    user.name: '*root'
    event.code: "4625"
    message|contains:
      - ' -enc '
      - whoami
  condition: chosen
level: low
logwarden:
  suppress: 1h
`;

const definition = (page) => page.getByRole('textbox', { name: /Rule definition/ });
const text_of = async (page) => (await definition(page).innerText()).replace(/\u200b/g, '');

async function write(page, text) {
  await page.goto(`${BASE}/rules/new`);
  const editor = definition(page);
  await editor.click();
  await page.locator('.editor').waitFor();
  await editor.focus();
  await page.keyboard.press('Control+a');
  await page.evaluate((text) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData('text/plain', text);
    const content = document.querySelector('.editor').shadowRoot.querySelector('[role=textbox]');
    content.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
  }, text);
  await editor.getByText('suppress').waitFor();
}

export async function walk_writing(page) {
  await check('a rule is there to be read and written before the editor is, which then takes over what was typed', async () => {
    let come = () => {};
    const wanted = new Promise((done) => (come = done));
    await page.route('**/assets/YamlEditor-*.js', async (route) => {
      await wanted;
      await route.continue().catch(() => {});
    });
    try {
      await page.goto(`${BASE}/rules/new?q=${encodeURIComponent('event.outcome:failure')}`);
      const editor = definition(page);
      await editor.waitFor();
      expect((await editor.inputValue()).includes('event.outcome'), 'the draft is not there');
      await editor.click();
      await page.keyboard.press('Control+End');
      await page.keyboard.type('# typed early');
      await page.getByText('None: the rule can be used.').waitFor();
      come();
      await page.locator('.editor').waitFor();
      await page.keyboard.type(' and late');
      await editor.getByText('# typed early and late').waitFor();
      for (let step = 0; step < 2; step += 1) await page.keyboard.press('Control+z');
      await editor.getByText('typed early').waitFor({ state: 'detached' });
      expect((await text_of(page)).includes('event.outcome'), 'undoing goes too far');
    } finally {
      come();
      await page.unroute('**/assets/YamlEditor-*.js');
    }
  });
  await check('the form writes one value, and leaves the others as they are', async () => {
    await write(page, STARS);
    await page.getByRole('tab', { name: 'Form', exact: true }).click();
    const values = page.getByRole('group', { name: 'Condition 3 of chosen' }).getByRole('textbox', { name: /Values/ });
    await values.fill(' -enc \nwhoami /all\n*.ps1');
    await values.blur();
    await page.getByRole('tab', { name: 'YAML', exact: true }).click();
    await definition(page).getByText('whoami /all').waitFor();
    const text = await text_of(page);
    for (const kept of ["user.name: '*root'", 'event.code: "4625"', "- ' -enc '", '# who and what', 'suppress: 1h', '*.ps1']) {
      expect(text.includes(kept), `${kept} is gone: ${text}`);
    }
  });
  await check('the form does not say one thing twice, and empties no condition', async () => {
    await page.getByRole('tab', { name: 'Form', exact: true }).click();
    await page.getByRole('button', { name: 'Add condition to chosen' }).click();
    const added = page.getByRole('group', { name: 'Condition 4 of chosen' }).getByRole('textbox', { name: 'Field' });
    await added.fill('user.name');
    await added.blur();
    await page.getByRole('alert').filter({ hasText: 'Not taken over' }).waitFor();
    await added.fill('');
    await added.blur();
    expect((await added.inputValue()) !== '', 'a condition without a field');
    await page.getByRole('button', { name: 'Remove condition on field_4' }).click();
    await added.waitFor({ state: 'detached' });
    await page.getByRole('alert').waitFor({ state: 'detached' });
  });
}
