// Adds a passkey in one's own settings, signs in with it and takes it away again, with a virtual authenticator of
// Chromium. LOGWARDEN_URL must name the server (`http://localhost:…`), LOGWARDEN_USER and LOGWARDEN_PASSWORD say as
// whom. CHROMIUM names another browser than /usr/bin/chromium.
import { chromium } from 'playwright-core';

const BASE = process.env.LOGWARDEN_URL?.replace(/\/$/, '');
const USER = process.env.LOGWARDEN_USER;
const PASSWORD = process.env.LOGWARDEN_PASSWORD;
if (!BASE || !USER || !PASSWORD) {
  console.error('usage: LOGWARDEN_URL=… LOGWARDEN_USER=… LOGWARDEN_PASSWORD=… node test/passkeys.mjs');
  process.exit(2);
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium' });
try {
  const context = await browser.newContext({ locale: 'en-GB', timezoneId: 'UTC' });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => {
    // The password alone is refused on purpose, and browsers report it.
    const is_meant = /status of 401/.test(message.text()) && /\/api\/v1\/session$/.test(message.location().url);
    if (message.type() === 'error' && !is_meant) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  const devtools = await context.newCDPSession(page);
  await devtools.send('WebAuthn.enable');
  const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });

  const fill_in = async () => {
    await page.getByRole('textbox', { name: 'User name' }).fill(USER);
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  };
  const sign_out = async () => {
    await page.getByRole('button', { name: 'User menu' }).click();
    await page.getByRole('menuitem', { name: 'Sign out' }).click();
    await page.waitForURL(`${BASE}/login`);
  };
  const overview = () => page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();

  await page.goto(`${BASE}/login`);
  await fill_in();
  await overview();
  await page.goto(`${BASE}/me`);
  const passkeys = page.getByRole('region', { name: 'Passkeys' });
  await passkeys.getByLabel('Name of the device').fill('<b>phone</b>');
  await passkeys.getByLabel('Present password').fill(process.env.LOGWARDEN_PASSWORD);
  await passkeys.getByRole('button', { name: 'Add passkey' }).click();
  await passkeys.getByText('<b>phone</b>').waitFor();
  const { credentials } = await devtools.send('WebAuthn.getCredentials', { authenticatorId });
  if (credentials.length !== 1) throw new Error(`${credentials.length} credentials on the device`);
  await sign_out();

  await fill_in();
  await page.getByLabel('Code of your authenticator app').waitFor();
  await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
  await overview();
  await page.goto(`${BASE}/me`);
  await passkeys.getByText(/used/).waitFor();
  await sign_out();

  // Somebody else's finger.
  await devtools.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false });
  await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
  await page.getByRole('alert').waitFor();
  await devtools.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: true });
  await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
  await overview();

  await page.goto(`${BASE}/me`);
  await passkeys.getByRole('button', { name: /Remove passkey/ }).click();
  await passkeys.getByText('No device of yours signs you in yet.').waitFor();
  await sign_out();
  await fill_in();
  await overview();
  if (complaints.length > 0) throw new Error(complaints.join(' | '));
  console.log('added, signed in with, refused for another finger, taken away');
} finally {
  await browser.close();
}
