// For whom the usual is too small, too wide or too lively: text twice as large, 320 px, and no motion.
import { BASE, check, expect, no_sideways, open, sign_in } from './browser.mjs';
import { PAGES } from './pages.mjs';

/** The smallest text of the dashboard, in pixels at the usual size. */
const TEXT_MIN_PX = 11.5;
const LARGE = 2;

async function every_page(page, look) {
  await page.goto(`${BASE}/login`);
  await look('/login');
  await sign_in(page);
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  for (const [path] of PAGES) {
    await page.goto(BASE + path);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page.waitForLoadState('networkidle').catch(() => {});
    await look(path);
  }
}

/** What is written smaller than `least_px`, or stands in a box that cuts it off below. */
function unreadable(least_px) {
  const found = [];
  for (const element of document.querySelectorAll('body *')) {
    const is_written = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== '');
    if (!is_written || element.matches('option, .hidden, .hidden *') || element.getClientRects().length === 0) continue;
    const style = getComputedStyle(element);
    const size_px = Number.parseFloat(style.fontSize);
    const said = `${element.tagName.toLowerCase()} "${element.textContent.trim().slice(0, 30)}"`;
    if (size_px < least_px - 0.01) found.push(`${said} has ${size_px} px`);
    const is_cut = style.overflowY === 'hidden' && style.webkitLineClamp === 'none' && element.scrollHeight > element.clientHeight + 3;
    if (is_cut) found.push(`${said} is cut off: ${element.scrollHeight} px in ${element.clientHeight}`);
  }
  return found.slice(0, 4);
}

function moving() {
  const moves = ({ animationName, transitionDuration }) => animationName !== 'none' || !/^(0s(, )?)+$/.test(transitionDuration);
  return [...document.querySelectorAll('*')].filter((element) => moves(getComputedStyle(element))).length;
}

/** WCAG 2.2: 1.4.4 (text at 200 %), 1.4.10 (reflow), 2.3.3 (no motion where none is wanted). */
export async function walk_sight(browser) {
  await check('text twice as large is all there, and nothing moves for those who want no motion', async () => {
    const page = await open(browser, { width: 1280, height: 1024 }, 'light');
    await page.emulateMedia({ reducedMotion: 'reduce' });
    const session = await page.context().newCDPSession(page);
    await session.send('Page.setFontSizes', { fontSizes: { standard: 16 * LARGE, fixed: 13 * LARGE } });
    await every_page(page, async (path) => {
      const found = await page.evaluate(unreadable, TEXT_MIN_PX * LARGE);
      expect(found.length === 0, `${path}: ${found.join('; ')}`);
      await no_sideways(page);
      const count = await page.evaluate(moving);
      expect(count === 0, `${path}: ${count} elements would move`);
    });
    await page.context().close();
  });
  await check('every page fits 320 px', async () => {
    const page = await open(browser, { width: 320, height: 640 }, 'dark');
    await every_page(page, () => no_sideways(page));
    await page.context().close();
  });
}
