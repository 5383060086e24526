import { parseStrictObject } from './json.ts';

/** Longest compact JWS that is looked at, in characters. */
export const maxJwsLength = 8192;

export interface Jws {
  header: Record<string, unknown>;
  payload: Record<string, unknown>;
}

// Members that bring a key, point to one, or change what is signed or how it is to be read. None of them has a
// place in a token whose key is chosen by the issuer's key set, so their presence alone is a reason to refuse.
const refusedMembers = ['crit', 'b64', 'jku', 'jwk', 'x5u', 'x5c', 'zip', 'enc', 'epk'];

/**
 * Header and payload of a compact JWS (RFC 7515 section 7.1), not verified. Refuses (a sentence that says why) what
 * is too long, has not three parts of canonical base64url, repeats a member name, or has a header member that is
 * not accepted; `allowed` takes one of those off the list.
 */
export function readJws(text: string, allowed?: string): Jws | string {
  if (text.length > maxJwsLength) return `longer than ${maxJwsLength} characters`;
  const parts = text.split('.', 4);
  if (parts.length !== 3) return 'not a signed JWT of three parts';
  const [head, body, signature] = parts.map(decodePart);
  // An empty signature is for the algorithm `none`, which is answered as an algorithm that is not accepted.
  if (!head?.length || !body?.length || !signature) return 'not in base64url';
  const header = parseStrictObject(head);
  if (!header) return 'the header is not a JSON object with each name once';
  const refused = refusedMembers.find((name) => name !== allowed && Object.hasOwn(header, name));
  if (refused) return `the header parameter ${refused} is not accepted`;
  const payload = parseStrictObject(body);
  if (!payload) return 'the payload is not a JSON object with each name once';
  return { header, payload };
}

// Only the canonical form, so that one token has one spelling: spare bits of the last character are not ignored.
function decodePart(part: string): Buffer | undefined {
  const bytes = Buffer.from(part, 'base64url');
  return bytes.toString('base64url') === part ? bytes : undefined;
}
