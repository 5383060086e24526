import { domainToASCII } from 'node:url';

const localPart = /^[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~-]+(?:\.[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~-]+)*$/u;
const domainCharacters = /^[\p{L}\p{M}\p{N}.-]+$/u;
const asciiDomain = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * Gives the one spelling under which an address is stored, compared and written to: NFKC, lower case, the
 * domain in its ASCII (IDNA) form, without surrounding spaces. Applying it twice changes nothing.
 *
 * Gives undefined for what is not one plain address: more than one @, quoted local parts, comments, address
 * literals, domains without a dot, ending in a number or in .invalid (RFC 2606 section 2), control and format characters (bidirectional, zero
 * width), spaces inside, a local part over 64 or an address over 254 bytes (RFC 5321 4.5.3.1, RFC 6531 3.3).
 */
export function normaliseEmail(input: string): string | undefined {
  // Longer than any address, and bounded before normalisation, which can lengthen a text.
  if (input.length > 1_000 || /[\p{Cc}\p{Cf}]/u.test(input)) return undefined;

  const [local, domain, ...rest] = foldCase(input).trim().split('@');
  if (local === undefined || domain === undefined || rest.length > 0) return undefined;
  if (!localPart.test(local) || Buffer.byteLength(local) > 64) return undefined;

  // Checked before the conversion, which reads its input as a URL host: it would cut a path, decode %61 and so on.
  if (!domainCharacters.test(domain)) return undefined;
  const ascii = domainToASCII(domain);
  if (!asciiDomain.test(ascii) || ascii.endsWith('.invalid')) return undefined;

  const address = `${local}@${ascii}`;
  return Buffer.byteLength(address) > 254 ? undefined : address;
}

// Without a locale, so that I becomes i everywhere; composed again, since lower case can decompose.
const foldCase = (text: string): string => text.normalize('NFKC').toLowerCase().normalize('NFKC');
