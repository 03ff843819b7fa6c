// Two ways to work a page: by pointer, and by keyboard alone, which reaches everything with Tab and arrow keys.
import { expect } from './browser.mjs';

/** More stops than any page has. */
const STOPS_MAX = 600;

export function pointer(page) {
  return {
    name: 'pointer',
    reach: (target) => target.click(),
    press: (target) => target.click(),
    write: (target, text) => target.fill(text),
    tab: (target) => target.click(),
    choose: (target, label) => target.selectOption({ label }),
    async pick(button, item) {
      await button.click();
      await item.click();
    },
    async open_row(grid, index) {
      await grid.locator(`[aria-rowindex="${index}"]`).click();
    },
    async zoom(chart) {
      const box = await chart.boundingBox();
      const y = box.y + box.height / 2;
      await page.mouse.move(box.x + box.width * 0.3, y);
      await page.mouse.down();
      await page.mouse.move(box.x + box.width * 0.6, y, { steps: 5 });
      await page.mouse.move(box.x + box.width - 8, y, { steps: 5 });
      await page.mouse.up();
    },
  };
}

export function keyboard(page) {
  /** The element that has the keyboard, also inside a shadow root. */
  const has_focus = (target) =>
    target.evaluate((element) => {
      let active = document.activeElement;
      while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
      return active === element;
    });

  async function by_key(key, target, what) {
    for (let stop = 0; stop < STOPS_MAX; stop += 1) {
      if (await has_focus(target)) return;
      await page.keyboard.press(key);
    }
    throw new Error(`${what} is not reached with ${key}`);
  }

  async function reach(target) {
    await target.waitFor();
    await by_key('Tab', target, String(target));
    const is_seen = await target.evaluate((element) => {
      // The frame around a field shows it as well as the field itself.
      for (let around = element; around; around = around.parentElement) {
        if (getComputedStyle(around).outlineStyle !== 'none') return true;
      }
      return false;
    });
    expect(is_seen, `${target} has the keyboard and does not show it`);
  }

  async function press(target) {
    await reach(target);
    const is_box = await target.evaluate((element) => element instanceof HTMLInputElement);
    await page.keyboard.press(is_box ? 'Space' : 'Enter');
  }

  return {
    name: 'keyboard',
    reach,
    press,
    async write(target, text) {
      await reach(target);
      await page.keyboard.press('Control+a');
      await page.keyboard.insertText(text);
    },
    async tab(target) {
      const list = target.locator('xpath=ancestor::*[@role="tablist"]');
      await reach(list.locator('[aria-selected="true"]'));
      await by_key('ArrowRight', target, String(target));
    },
    async choose(target, label) {
      await reach(target);
      await page.keyboard.press('Home');
      const chosen = () => target.evaluate((element) => element.selectedOptions[0]?.label);
      for (let stop = 0; (await chosen()) !== label; stop += 1) {
        expect(stop < STOPS_MAX, `there is no choice ${label}`);
        await page.keyboard.press('ArrowDown');
      }
    },
    async pick(button, item) {
      await press(button);
      await item.waitFor();
      await by_key('ArrowDown', item, String(item));
      await page.keyboard.press('Enter');
    },
    async open_row(grid, index) {
      await reach(grid.getByRole('rowgroup').last());
      await page.keyboard.press('Home');
      await by_key('ArrowDown', grid.locator(`[aria-rowindex="${index}"]`), `row ${index}`);
      await page.keyboard.press('Enter');
    },
    async zoom(chart) {
      await reach(chart);
      await page.keyboard.press('End');
      for (let step = 0; step < 30; step += 1) await page.keyboard.press('Shift+ArrowLeft');
      await page.keyboard.press('Enter');
    },
  };
}
