import { makeDatabase } from '#src/database/pool.ts';
import { findTenantId, withTenant } from '#src/database/tenant.ts';
import { directoryKey } from '#src/domain/tenants/directory.ts';
import { makeUserAgent, type Page, readForms } from '#test/support/user-agent.ts';
import { authorizationParameters } from './flows.ts';
import { email, resource, web } from './identities.ts';

/** Who may be behind an address that somebody tries with a wrong password. */
const sides = ['wrong', 'unknown', 'disabled', 'passwordless', 'locked'] as const;
type Side = (typeof sides)[number];

export interface Enumeration {
  side: Side;
  samples: number;
  /** Milliseconds. */
  p50: number;
  /** How well time alone tells this side from a known user with a wrong password: 0.5 is not at all, 1 always. */
  auc: number;
  /** Whether every answer, but for what is new in each, is the same as that of a known user. */
  sameBytes: boolean;
}

const addressOf = (side: Side, n: number) => `${side}-${n}@example.test`;

/** Makes a user for every sample, since whoever fails often is answered otherwise on purpose. */
export async function seedEnumeration(runtimeUrl: string, samples: number): Promise<void> {
  const db = makeDatabase({ url: runtimeUrl, max: 1 });
  try {
    const tenant_id = await findTenantId(db, 'slug', directoryKey('slug', 'bench'));
    await withTenant(db, tenant_id!, async (tx) => {
      const { password_hash } = await tx
        .selectFrom('users')
        .select('password_hash')
        .where('email', '=', email)
        .executeTakeFirstOrThrow();
      const numbers = Array.from({ length: samples }, (_, n) => n);
      const soon = new Date(Date.now() + 24 * 3600 * 1000);
      for (const side of sides.filter((one) => one !== 'unknown')) {
        await tx
          .insertInto('users')
          .values(
            numbers.map((n) => ({
              email: addressOf(side, n),
              name: null,
              password_hash: side === 'passwordless' ? null : password_hash,
              status:
                side === 'disabled'
                  ? ('disabled' as const)
                  : side === 'passwordless'
                    ? ('invited' as const)
                    : ('active' as const),
              ...(side === 'locked' ? { failed_login_attempts: 9, locked_until: soon } : {}),
            })),
          )
          .execute();
      }
    });
  } finally {
    await db.close();
  }
}

/** Tries every side in turn with a wrong password, a fresh browser and a fresh address each time, and times the answer. */
export async function measureEnumeration(origin: string, samples: number): Promise<Enumeration[]> {
  const tried = new Map(sides.map((side) => [side, { times: [] as number[], answers: new Set<string>() }]));
  for (let n = 0; n < samples; n++) {
    // In another order each time, so that no side profits from its place.
    for (const side of rotate(sides, n)) {
      const { ms, answer } = await tryWrongPassword(
        origin,
        addressOf(side, n),
        `198.18.${n >> 8}.${n & 255}`,
      );
      tried.get(side)!.times.push(ms);
      tried.get(side)!.answers.add(answer);
    }
  }
  const known = tried.get('wrong')!;
  const textOf = (answers: Set<string>) => [...answers].join('\n');
  return [...tried].map(([side, { times, answers }]) => ({
    side,
    samples: times.length,
    p50: median(times),
    auc: areaUnderCurve(known.times, times),
    sameBytes: textOf(answers) === textOf(known.answers),
  }));
}

/** Comes from the IP address given, since one address alone is soon limited. */
async function tryWrongPassword(
  origin: string,
  address: string,
  ip: string,
): Promise<{ ms: number; answer: string }> {
  const agent = makeUserAgent();
  const query = new URLSearchParams(authorizationParameters(web, { scope: 'openid', resource }));
  const page = await agent.follow(await agent.get(`${origin}/auth?${query}`));
  const form = readForms(page.body)[0]!;
  const url = new URL(form.action, page.url).href;
  const fields = { ...form.fields, email: address, password: 'not the password of anybody' };
  const startedAt = performance.now();
  const answer = await agent.post(url, fields, { 'x-forwarded-for': ip });
  return { ms: performance.now() - startedAt, answer: withoutNews(answer, address, form.fields['csrf']!) };
}

/** The answer without what is new in every answer, and without what was typed. */
function withoutNews({ status, headers, body, url }: Page, address: string, csrf: string): string {
  const uid = new URL(url).pathname.split('/').at(-1)!;
  const nonce = /nonce-([^']+)'/.exec(headers.get('content-security-policy') ?? '')?.[1] ?? '';
  const strip = (text: string) =>
    [address, csrf, uid, nonce, headers.get('x-request-id') ?? ''].reduce(
      (rest, secret) => (secret ? rest.replaceAll(secret, '…') : rest),
      text,
    );
  const lines = [...headers]
    .filter(([name]) => !['date', 'content-length', 'ratelimit'].includes(name))
    .map(([name, value]) => `${name}: ${strip(value)}`);
  return [status, ...lines, strip(body)].join('\n');
}

const rotate = <T>(list: readonly T[], by: number): T[] =>
  list.map((_, index) => list[(index + by) % list.length]!);

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/** The chance that a sample of one side took longer than one of the other, whichever way round is larger. */
function areaUnderCurve(left: readonly number[], right: readonly number[]): number {
  let larger = 0;
  for (const a of left) {
    for (const b of right) {
      larger += a > b ? 1 : a === b ? 0.5 : 0;
    }
  }
  const area = larger / (left.length * right.length);
  return Math.max(area, 1 - area);
}

export function enumerationTable(sides: readonly Enumeration[]): string {
  const lines = sides.map(
    ({ side, samples, p50, auc, sameBytes }) =>
      `| ${side} | ${samples} | ${p50.toFixed(1)} | ${auc.toFixed(3)} | ${sameBytes ? 'yes' : 'no'} |`,
  );
  return [
    '| who | samples | p50 ms | AUC of time | same bytes |',
    '| --- | ---: | ---: | ---: | --- |',
    ...lines,
    '',
  ].join('\n');
}
