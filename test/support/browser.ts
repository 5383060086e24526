import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const places = [
  process.env.CHROMIUM_PATH,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

// Chromium calls home on its own; a test must not, and a name that the test did not mean must not resolve.
const quiet = [
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-default-apps',
  '--disable-domain-reliability',
  '--disable-sync',
  '--no-first-run',
  '--no-pings',
];

/** Finds an installed Chromium; `CHROMIUM_PATH` says where else to look. */
export function chromiumPath(): string | undefined {
  return places.find((place) => place && existsSync(place));
}

/**
 * Starts Chromium without a window, reaching nothing but this machine. `names` maps host names to
 * 127.0.0.1, for tests that need more than one origin. Throws when there is no Chromium.
 */
export function launchBrowser(names: string[] = []): Promise<Browser> {
  const executablePath = chromiumPath();
  if (!executablePath) throw new Error('no Chromium found: install it or set CHROMIUM_PATH');
  const rules = [
    ...names.map((name) => `MAP ${name} 127.0.0.1`),
    'MAP * ~NOTFOUND',
    'EXCLUDE localhost',
    'EXCLUDE 127.0.0.1',
  ];
  return chromium.launch({ executablePath, args: [...quiet, `--host-resolver-rules=${rules.join(', ')}`] });
}

/** Says plainly that browser tests were left out for want of Chromium; with `CI` set that is a failure. */
export function leaveOut(what: string): void {
  const message = `${what}: left out, since no Chromium was found (install it or set CHROMIUM_PATH)`;
  if (process.env.CI) throw new Error(message);
  console.warn(message);
}
