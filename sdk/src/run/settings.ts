import type { VerifiedToken } from '../verify/verified-token.ts';
import { UnsafeValueError } from './errors.ts';

const uuidForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * What a transaction of this token sets, name and value, all local to the transaction: `app.current_tenant_id` (uuid),
 * `request.jwt.claims` (JSON of all claims) and, where given, the `role`.
 *
 * Throws `UnsafeValueError` for a tenant that is no uuid, for text that PostgreSQL cannot hold (U+0000, half a
 * surrogate pair) and for a role that is empty or `none`, which would take the role off.
 */
export function settingsOf(token: VerifiedToken, role?: string): [name: string, value: string][] {
  const settings: [string, string][] = [
    ['app.current_tenant_id', tenantOf(token)],
    ['request.jwt.claims', claimsOf(token)],
  ];
  if (role !== undefined) settings.push(['role', checkedRole(role)]);
  return settings;
}

const statements = new WeakMap<VerifiedToken, string>();

/**
 * Statements that set them, to go behind BEGIN in the same message, which takes no parameters. `set local` is what
 * `set_config(…, true)` does, without a plan and a row: a tenth of a transaction on loopback.
 */
export function setLocal(token: VerifiedToken, role?: string): string {
  // The verifier hands out the same object for the same token, so most requests find theirs here.
  let text = statements.get(token);
  if (text === undefined) {
    text = settingsOf(token).map(setOne).join('; ');
    statements.set(token, text);
  }
  return role === undefined ? text : `${text}; ${setOne(['role', checkedRole(role)])}`;
}

function setOne([name, value]: [string, string]): string {
  return `set local ${name} = ${textLiteral(value)}`;
}

/** The same as one statement, for those who can send one at a time only. */
export function setConfig(token: VerifiedToken, role?: string): string {
  const calls = settingsOf(token, role).map(
    ([name, value]) => `set_config('${name}', ${textLiteral(value)}, true)`,
  );
  return `select ${calls.join(', ')}`;
}

/**
 * Text as an SQL literal of ASCII alone, in which no quote and no backslash is the text's own: it means the same whatever
 * `standard_conforming_strings`, `backslash_quote` and the encodings are.
 */
export function textLiteral(text: string): string {
  const escaped = text.replace(
    /[^ !-&(-[\]-~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `e'${escaped}'`;
}

/** The tenant of the token as PostgreSQL prints a uuid. */
export function tenantOf({ tenantId }: VerifiedToken): string {
  if (!uuidForm.test(tenantId)) throw new UnsafeValueError('the tenant of the token is no uuid');
  return tenantId.toLowerCase();
}

function claimsOf({ claims }: VerifiedToken): string {
  return JSON.stringify(claims, (name, value) => {
    assertStorable(name, 'the name of a claim');
    if (typeof value === 'string') assertStorable(value, 'a claim');
    return value;
  });
}

function checkedRole(role: string): string {
  assertStorable(role, 'the role');
  if (role === '' || role.toLowerCase() === 'none') {
    throw new UnsafeValueError('the role must be the name of a database role');
  }
  return role;
}

// JSON.stringify would escape both, and only a cast to jsonb would notice, in the middle of a query.
function assertStorable(text: string, what: string): void {
  if (text.includes('\0') || !text.isWellFormed()) {
    throw new UnsafeValueError(
      `${what} holds U+0000 or half a surrogate pair, which PostgreSQL cannot store`,
    );
  }
}
