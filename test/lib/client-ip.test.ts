import { describe, expect, test } from '@jest/globals';
import { addressKey, ipAllowed, parseCidr, resolveClientIp, unknownAddress } from '#src/lib/client-ip.ts';

const networks = (...texts: string[]) => texts.map((text) => parseCidr(text)!);
const trustedProxies = networks('10.0.0.0/8', 'fd00::/8');
const resolve = (peer: string | undefined, forwardedFor?: string) =>
  resolveClientIp({ peer, forwardedFor, trustedProxies });

describe('the address of the client', () => {
  test('is the peer when the peer is no trusted proxy, whatever it claims', () => {
    expect(resolve('198.51.100.7', '203.0.113.9')).toBe('198.51.100.7');
    expect(resolveClientIp({ peer: '10.0.0.1', forwardedFor: '203.0.113.9', trustedProxies: [] })).toBe(
      '10.0.0.1',
    );
  });

  test('is the right-most hop that is not trusted', () => {
    expect(resolve('10.0.0.1', '203.0.113.9')).toBe('203.0.113.9');
    expect(resolve('10.0.0.1', '1.1.1.1, 203.0.113.9 ,10.0.0.2')).toBe('203.0.113.9');
    expect(resolve('fd00::1', '1.1.1.1,2001:DB8::9')).toBe('2001:db8::9');
  });

  test('is the left-most hop when all are trusted, the peer when there is none', () => {
    expect(resolve('10.0.0.1', '10.0.0.3,10.0.0.2')).toBe('10.0.0.3');
    expect(resolve('10.0.0.1')).toBe('10.0.0.1');
  });

  test('has one form for an IPv4 address within IPv6', () => {
    expect(resolve('::ffff:198.51.100.7')).toBe('198.51.100.7');
    expect(resolve('::ffff:10.0.0.1', '::FFFF:cb00:7109')).toBe('203.0.113.9');
    expect(resolve('2001:0DB8:0:0::1')).toBe('2001:db8::1');
  });

  test.each([
    ...[
      '',
      ' ',
      ',',
      'unknown',
      '_hidden',
      '::1%eth0',
      '1.2.3.4:99',
      '[::1]:80',
      '"',
      '"1.2.3.4"',
      '1.2.3',
      '0x7f.1',
    ],
    ...[
      '010.1.1.1',
      '127.1',
      '1.2.3.4\0',
      '１.2.3.4',
      'ü',
      '1.2.3.4;',
      'for=1.2.3.4',
      '256.1.1.1',
      '1.2.3.4/8',
    ],
  ])('is the peer when the header holds %j [A-008]', (entry) => {
    expect(resolve('10.0.0.1', entry)).toBe('10.0.0.1');
    expect(resolve('10.0.0.1', `203.0.113.9,${entry},10.0.0.2`)).toBe('10.0.0.1');
  });

  test('comes out of 10,000 entries [A-008]', () => {
    expect(resolve('10.0.0.1', 'x,'.repeat(10_000))).toBe('10.0.0.1');
    expect(resolve('10.0.0.1', `${'x,'.repeat(10_000)}203.0.113.9`)).toBe('203.0.113.9');
    expect(resolve('10.0.0.1', Array(10_000).fill('10.0.0.2').join())).toBe('10.0.0.2');
  });

  test('is still an address when the peer has none', () => {
    expect(resolve(undefined, '203.0.113.9')).toBe(unknownAddress);
    expect(resolve('', '203.0.113.9')).toBe(unknownAddress);
  });
});

describe('networks', () => {
  test.each([
    ['203.0.113.9', '203.0.113.0/24', true],
    ['203.0.114.9', '203.0.113.0/24', false],
    ['203.0.113.9', '203.0.113.9', true],
    ['203.0.113.8', '203.0.113.9', false],
    ['::ffff:203.0.113.9', '203.0.113.0/24', true],
    ['203.0.113.9', '::ffff:203.0.113.0/120', true],
    ['2001:db8::1', '2001:db8::/32', true],
    ['2001:db9::1', '2001:db8::/32', false],
    ['203.0.113.9', '::/0', false],
    ['2001:db8::1', '0.0.0.0/0', false],
    ['unknown', '0.0.0.0/0', false],
    ['fe80::1%eth0', 'fe80::/10', false],
  ])('tells whether %s is within %s: %s', (ip, network, expected) => {
    expect(ipAllowed(ip, networks(network))).toBe(expected);
  });

  test('allow no address when there is none, one of several otherwise', () => {
    expect(ipAllowed('203.0.113.9', [])).toBe(false);
    expect(ipAllowed('203.0.113.9', networks('::1', '203.0.113.0/24'))).toBe(true);
  });

  test.each([
    ...['', '/', '10.0.0.0/', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/8/8', '10.0.0.0/8.0', '10/8', '::/129'],
    ...['example.com', '10.0.0.0/a', ' 10.0.0.0/8', 'fe80::%eth0/10', '0x0a.0.0.0/8', '10.0.0.0/ 8'],
  ])('are refused when written %j', (text) => {
    expect(parseCidr(text)).toBeUndefined();
  });
});

describe('one source of requests', () => {
  test.each([
    ['an IPv4 address', '198.51.100.7', '198.51.100.7'],
    ['the same, mapped into IPv6', '::ffff:198.51.100.7', '198.51.100.7'],
    ['the same, mapped and written in hexadecimal', '::ffff:c633:6407', '198.51.100.7'],
    ['an IPv6 address', '2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['another of the same /64', '2001:DB8:0001:2:ffff::1', '2001:db8:1:2::/64'],
    ['the loopback', '::1', '0:0:0:0::/64'],
    ['what is no address', 'unknown', unknownAddress],
    ['an address with a zone', 'fe80::1%eth0', unknownAddress],
  ])('is %s [A-097]', (_, ip, key) => {
    expect(addressKey(ip)).toBe(key);
  });
});
