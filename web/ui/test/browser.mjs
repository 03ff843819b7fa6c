// What the walks have in common: who they are, how they open a page, and what must not happen on any.
//
// LOGWARDEN_URL, LOGWARDEN_USER, LOGWARDEN_PASSWORD say where and as whom; the first argument is a folder for
// screenshots. CHROMIUM names another browser than /usr/bin/chromium.
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

export const BASE = process.env.LOGWARDEN_URL?.replace(/\/$/, '');
export const USER = process.env.LOGWARDEN_USER;
export const PASSWORD = process.env.LOGWARDEN_PASSWORD;
/** The only other place that is asked for anything. */
export const PROVIDER = process.env.LOGWARDEN_PROVIDER;
const SHOTS = process.argv[2];
if (!BASE || !SHOTS || (!PROVIDER && (!USER || !PASSWORD))) {
  console.error('usage: LOGWARDEN_URL=… LOGWARDEN_USER=… LOGWARDEN_PASSWORD=… node test/WALK.mjs SCREENSHOTS');
  process.exit(2);
}
mkdirSync(SHOTS, { recursive: true });

const TIMEOUT_MS = 15_000;
export const WIDE = { width: 1440, height: 900 };
export const NARROW = { width: 390, height: 844 };
let passed = 0;
let failed = 0;
const complaints = [];

export async function check(name, work) {
  try {
    await work();
    passed += 1;
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}: ${String(error.message ?? error).split('\n').slice(0, 4).join(' | ')}`);
  }
}

export function expect(condition, what) {
  if (!condition) throw new Error(what);
}

/** Collects what must not happen; the 401 of a wrong password is meant, and browsers report it. */
export function watch(page) {
  page.on('console', (message) => {
    if (message.type() !== 'error') return;
    // A notifier that names what it may not is refused, and that is walked.
    if (/status of 400/.test(message.text()) && /\/api\/v1\/notifiers$/.test(message.location().url)) return;
    if (/status of 401/.test(message.text()) && /\/api\/v1\/session$/.test(message.location().url)) return;
    // So are a set-up code that is none,
    if (/status of 403/.test(message.text()) && /\/api\/v1\/setup$/.test(message.location().url)) return;
    // and the query of a panel that nobody could read.
    if (/status of 400/.test(message.text()) && message.location().url.includes('q=source.ip%3A10.0.0.0%2F99')) return;
    // The server is away for a moment, and that is walked.
    if (/ERR_INTERNET_DISCONNECTED/.test(message.text())) return;
    complaints.push(`console: ${message.text()} (${message.location().url})`);
  });
  page.on('pageerror', (error) => complaints.push(`page error: ${error.message}`));
  // Everything comes from the server itself: nobody else learns that somebody looks.
  page.on('request', (request) => {
    const url = request.url();
    const is_known = /^(data|blob):/.test(url) || url.startsWith(`${BASE}/`) || (PROVIDER && url.startsWith(PROVIDER));
    if (!is_known) complaints.push(`asked elsewhere: ${url}`);
  });
  page.on('dialog', (dialog) => {
    // The browser asks before a text that nobody saved is lost; where that is walked, it is looked at there.
    if (dialog.type() === 'beforeunload') {
      dialog.accept().catch(() => {});
      return;
    }
    complaints.push(`a script opened a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
}

export async function open(browser, viewport, scheme) {
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

export async function sign_in(page) {
  await page.getByRole('textbox', { name: 'User name' }).fill(USER);
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
}

export const count_status = (page) => page.getByRole('status').filter({ hasText: /[\d\u202f ,]+ events? · / });
export const main = (page) => page.getByRole('main');

/** The page sets its title when it is drawn, which may be after it is loaded. */
export async function titled(page, start) {
  await page.waitForFunction((start) => document.title.startsWith(start), start);
}

export async function no_sideways(page) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(over <= 0, `the page moves sideways by ${over} px`);
}

/** A token that may ship records, made by whom the page is signed in as. */
export function token_for_records(page) {
  return page.evaluate(async () => {
    const made = await fetch('/api/v1/tokens', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ role: 'ingest', name: `records-${Date.now()}` }),
    });
    return (await made.json()).token;
  });
}

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Fails on what axe calls serious or critical. */
export async function no_axe_findings(page) {
  await page.evaluate(AXE);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  const grave = found.violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  expect(grave.length === 0, grave.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 2).map(({ html }) => html.slice(0, 140)).join(' ; ')}`).join(' | '));
}

export const shot = (page, name, options = {}) => page.screenshot({ path: join(SHOTS, `${name}.png`), ...options });

export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });

/** The last check, then the figures, then the end with a code that says how it went. */
export async function conclude() {
  // The answer 404 to an unknown page is meant, and the browser reports it too.
  const unmeant = complaints.filter((text) => !(/status of 404/.test(text) && /\/(no-such-page|none)\b/.test(text)));
  await check('no console errors and no policy violations', async () => {
    expect(unmeant.length === 0, [...new Set(unmeant)].join(' | '));
  });
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed > 0 ? 1 : 0);
}
