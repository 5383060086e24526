import Bowser from 'bowser';

export interface DeviceDescription {
  /** `Chrome`, without a version. */
  browser?: string;
  /** `Windows`, without a version. */
  os?: string;
  kind: 'desktop' | 'phone' | 'tablet' | 'unknown';
}

/** Real ones have 60 to 250 characters. The parser tries some hundred expressions on what it is given. */
const longest = 512;

const browsers: ReadonlySet<string> = new Set(Object.values(Bowser.BROWSER_MAP));
const systems: ReadonlySet<string> = new Set(Object.values(Bowser.OS_MAP));
const kinds: Record<string, DeviceDescription['kind']> = {
  desktop: 'desktop',
  mobile: 'phone',
  tablet: 'tablet',
};

/**
 * What a User-Agent header (RFC 9110 section 10.1.5) says of its device. Anybody may send any text: only names that the parser
 * has a list of are given, never a part of the text, and only its first 512 characters are read. Never throws.
 */
export function describeUserAgent(text: string | null | undefined): DeviceDescription {
  const bounded = (text ?? '').slice(0, longest);
  if (bounded.trim() === '') {
    return { kind: 'unknown' };
  }
  const parser = Bowser.getParser(bounded, true);
  const browser = parser.getBrowserName();
  const os = parser.getOSName();
  const type = parser.getPlatformType(true);
  return {
    ...(browsers.has(browser) ? { browser } : {}),
    ...(systems.has(os) ? { os } : {}),
    kind: Object.hasOwn(kinds, type) ? kinds[type]! : 'unknown',
  };
}
