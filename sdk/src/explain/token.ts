import { TokenError, type TokenErrorCode } from '../verify/errors.ts';
import { readJws } from '../verify/jws.ts';
import type { VerifiedToken } from '../verify/verified-token.ts';
import { createVerifier } from '../verify/verifier.ts';

/** Who a token must come from and be meant for. */
export interface Expected {
  issuer: string;
  audience: string | readonly string[];
  /** The issuer's keys (a JWK set); nothing is fetched then. */
  jwks?: { keys: unknown[] } | undefined;
  now?: (() => Date) | undefined;
}

/** What is to be said of a token. Holds neither the token nor its signature. */
export interface TokenReport {
  accepted: boolean;
  /** Why not: the code of the TokenError. */
  code: TokenErrorCode | undefined;
  /** The outcome in a sentence, and what of the token led to it. */
  sentence: string;
  /** As they stand in the token, whoever wrote them; undefined when they cannot be read. */
  header: Record<string, unknown> | undefined;
  claims: Record<string, unknown> | undefined;
}

/**
 * Verifies a token as a resource server does, and says why it is refused. Throws the TokenError `keys_unavailable` when
 * the issuer's keys cannot be had, and a TypeError for an issuer or audience that can be none.
 */
export async function explainToken(
  text: string,
  { issuer, audience, jwks, now = () => new Date() }: Expected,
): Promise<{ report: TokenReport; token: VerifiedToken | undefined }> {
  const offline = jwks ? { fetch: answerFrom(issuer, jwks) } : {};
  const verifier = createVerifier({ issuer, audience, now, ...offline });
  const jws = readJws(text);
  const { header, payload: claims } =
    typeof jws === 'string' ? { header: undefined, payload: undefined } : jws;
  try {
    const token = await verifier.verify(text);
    const sentence = `Accepted: signed by ${issuer}, good until ${token.expiresAt.toISOString()}.`;
    return { report: { accepted: true, code: undefined, sentence, header, claims }, token };
  } catch (error) {
    if (!(error instanceof TokenError) || error.code === 'keys_unavailable') throw error;
    const { code, message } = error;
    const more = detail(code, { header, claims, issuer, audience, at: now() });
    const sentence = [`${message}.`, ...(more === undefined ? [] : [more])].join(' ');
    return { report: { accepted: false, code, sentence, header, claims }, token: undefined };
  }
}

function answerFrom(issuer: string, jwks: { keys: unknown[] }): typeof fetch {
  const keys = new URL('keys', 'https://offline.invalid').href;
  return async (input) => Response.json(String(input) === keys ? jwks : { issuer, jwks_uri: keys });
}

interface Circumstances {
  header: Record<string, unknown> | undefined;
  claims: Record<string, unknown> | undefined;
  issuer: string;
  audience: string | readonly string[];
  at: Date;
}

// What to compare, where the token and what is expected of it differ.
function detail(
  code: TokenErrorCode,
  { header = {}, claims = {}, issuer, audience, at }: Circumstances,
): string | undefined {
  const show = (value: unknown) => (value === undefined ? 'none' : JSON.stringify(value));
  switch (code) {
    case 'wrong_issuer':
      return `Its iss is ${show(claims['iss'])}, and ${show(issuer)} is expected.`;
    case 'wrong_audience':
      return `Its aud is ${show(claims['aud'])}, and ${show(audience)} is expected.`;
    case 'wrong_algorithm':
      return `Its alg is ${show(header['alg'])}, and ES256 is expected.`;
    case 'wrong_type':
      return `Its typ is ${show(header['typ'])}: an ID token or a logout token grants nothing here.`;
    case 'unknown_key':
      return `Its kid is ${show(header['kid'])}: the issuer has rotated its keys, or it is another issuer's token.`;
    case 'expired':
      return `Its exp was ${ago(claims['exp'], at)}.`;
    case 'not_yet_valid':
      return `Its nbf or iat is in the future: is a clock wrong?`;
    case 'proof_required':
      return 'All else about it is good, but without the proof nobody is to act on it, this command included.';
    case 'missing_token':
      return 'Nothing was given.';
    default:
      return undefined;
  }
}

function ago(exp: unknown, at: Date): string {
  const seconds = Math.floor(at.getTime() / 1000 - Number(exp));
  const [amount, unit] =
    seconds < 120
      ? [seconds, 'seconds']
      : seconds < 7200
        ? [Math.floor(seconds / 60), 'minutes']
        : [Math.floor(seconds / 3600), 'hours'];
  return `${amount} ${unit} ago`;
}
