import { html, raw } from 'hono/html';
import { displayText, fill, fillText } from '#views/components/names.ts';
import type { Html } from '#views/layout.ts';
import type { Words } from '#views/text/text.ts';

/** What is known of a device; none of it is believed to be true. */
export type Device = { browser?: string; os?: string; kind: 'desktop' | 'phone' | 'tablet' | 'unknown' };

const drawings: Record<Device['kind'], string> = {
  desktop: '<rect x="2.5" y="4" width="19" height="12.5" rx="1.8"/><path d="M8.5 20.5h7M12 16.5v4"/>',
  phone: '<rect x="6.5" y="2.5" width="11" height="19" rx="2.2"/><path d="M10.75 18.5h2.5"/>',
  tablet: '<rect x="4" y="2.5" width="16" height="19" rx="2.2"/><path d="M10.5 18.5h3"/>',
  unknown:
    '<rect x="4" y="4" width="7" height="7" rx="1.4"/><rect x="13" y="13" width="7" height="7" rx="1.4"/><path d="M16.5 4.5v6M13.5 7.5h6M7.5 13.5v6M4.5 16.5h6"/>',
};

/** A drawing of the kind of device; decoration beside its name. */
export function deviceIcon({ kind }: Device): Html {
  const drawing = Object.hasOwn(drawings, kind) ? drawings[kind] : drawings.unknown;
  return raw(`<svg class="glyph" viewBox="0 0 24 24" aria-hidden="true" focusable="false">${drawing}</svg>`);
}

/** The device in words: `Chrome on Windows`. */
export function deviceName({ sessions }: Words, device: Device): Html {
  const browser = displayText(device.browser ?? '', 40);
  const os = displayText(device.os ?? '', 40);
  const parts = { browser: html`<bdi>${browser}</bdi>`, os: html`<bdi>${os}</bdi>` };
  if (browser && os) return fill(sessions.browser_on_os, parts);
  if (browser) return parts.browser;
  return os ? fill(sessions.some_browser_on_os, parts) : html`${sessions.unknown_device}`;
}

/** The same for a mail, which is text before it is anything else. */
export function deviceText({ sessions }: Words, { browser, os }: Device): string {
  if (browser && os) return fillText(sessions.browser_on_os, { browser, os });
  return browser ?? (os ? fillText(sessions.some_browser_on_os, { os }) : sessions.unknown_device);
}
