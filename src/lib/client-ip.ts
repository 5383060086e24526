import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** A network: its address and the number of leading bits that count. */
export type Cidr = readonly [address: Address, bits: number];

/** Stands for a peer without a readable address, so that rules by address still apply to it. */
export const unknownAddress = '0.0.0.0';

/**
 * Gives the address of the client in its normal form (IPv4-mapped IPv6 as IPv4).
 *
 * X-Forwarded-For counts only when the peer is a trusted proxy. It is read from the right, where our own
 * proxies write, to the first hop that is not trusted; when all are trusted it is the left-most. An entry
 * that is not a bare address ends the reading and gives the peer: whatever the header holds, this never throws.
 */
export function resolveClientIp(request: {
  peer: string | undefined;
  forwardedFor: string | undefined;
  trustedProxies: readonly Cidr[];
}): string {
  const peer = parseAddress(request.peer ?? '');
  if (!peer) return unknownAddress;
  if (!request.forwardedFor || !isWithin(peer, request.trustedProxies)) return peer.toString();

  let hop = peer;
  for (const entry of request.forwardedFor.split(',').reverse()) {
    const address = parseAddress(entry.trim());
    if (!address) return peer.toString();
    hop = address;
    if (!isWithin(hop, request.trustedProxies)) break;
  }
  return hop.toString();
}

/**
 * What counts as one source: an IPv4 address, also when it is written as IPv4-mapped IPv6, or the /64 of an IPv6 address, since a
 * single line is given at least that much (RFC 6177). What is no address counts as `unknownAddress`.
 */
export function addressKey(ip: string): string {
  const address = parseAddress(ip);
  if (!address) return unknownAddress;
  return address instanceof ipaddr.IPv6
    ? `${address.parts
        .slice(0, 4)
        .map((part) => part.toString(16))
        .join(':')}::/64`
    : address.toString();
}

/** Tells whether `ip` lies in one of the networks; false for an empty list and for what is no address. */
export function ipAllowed(ip: string, cidrs: readonly Cidr[]): boolean {
  const address = parseAddress(ip);
  return address !== undefined && isWithin(address, cidrs);
}

/** Gives the network that `10.0.0.0/8`, `2001:db8::/32` or a single address names, undefined for anything else. */
export function parseCidr(text: string): Cidr | undefined {
  const [ip, prefix, ...rest] = text.split('/');
  if (ip === undefined || rest.length > 0 || !isBareIp(ip)) return undefined;

  const address = ipaddr.parse(ip);
  const width = address.kind() === 'ipv4' ? 32 : 128;
  const bits = prefix === undefined ? width : Number(prefix);
  if ((prefix !== undefined && !/^\d{1,3}$/.test(prefix)) || bits > width) return undefined;

  // Addresses are compared in their IPv4 form, so a mapped network must be too.
  if (address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && bits >= 96) {
    return [address.toIPv4Address(), bits - 96];
  }
  return [address, bits];
}

const isWithin = (address: Address, cidrs: readonly Cidr[]): boolean =>
  cidrs.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits));

const parseAddress = (text: string): Address | undefined =>
  isBareIp(text) ? ipaddr.process(text) : undefined;

// isIP is stricter than ipaddr.js, which reads 0x7f.1 and 010.0.0.1 too; both take a zone, which names no host.
const isBareIp = (text: string): boolean => isIP(text) !== 0 && !text.includes('%');
