import {
  generateKeyPair as generateKeyPairCallback,
  type KeyPairKeyObjectResult,
  randomBytes,
} from 'node:crypto';
import { promisify } from 'node:util';
import { sql } from 'kysely';
import type { SigningKeysTable } from '#src/database/schema.ts';
import type { TenantTx } from '#src/database/tenant.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import { type MasterKey, open, seal } from '#src/lib/master-key.ts';
import { lockKeys } from './server-secrets.ts';

const generateKeyPair = promisify(generateKeyPairCallback);

export type SigningAlg = SigningKeysTable['alg'];

export const signingAlgs: readonly SigningAlg[] = ['ES256', 'RS256', 'PS256', 'EdDSA'];

/** JWKS max-age: so long a verifier may go without a key that was published. Seconds. */
export const jwksMaxAge = 600;

/**
 * How long a key is published before it signs: max-age counted from when the last node shows it, with room for clocks that
 * differ. Seconds.
 */
export const publishedBefore = jwksMaxAge + 60;

/** How long a key stays published after its successor took over: longer than any token or logout hint is accepted. Seconds. */
const previousFor = 24 * 3600;

/** Age at which the active key is replaced on its own. Seconds. */
const rotateAfter = 90 * 24 * 3600;

export type SigningKeyState = 'next' | 'active' | 'previous';

export interface SigningKey {
  kid: string;
  alg: SigningAlg;
  state: SigningKeyState;
  active_from: Date | null;
  private_jwk: Record<string, unknown>;
}

export interface SigningKeySet {
  /** Active first, then next, then previous: the library signs with the first key that fits. */
  keys: SigningKey[];
  /** When a key changes its state by itself, if one will. */
  next_change: Date | undefined;
}

type SigningKeyRow = Pick<SigningKeysTable, 'kid' | 'alg' | 'sealed_private_jwk'> & {
  published_at: Date;
  active_from: Date | null;
  retired_at: Date | null;
};

const associated = (kid: string) => ({
  tenant_id: platformTenantId,
  table: 'signing_keys',
  column: 'sealed_private_jwk',
  row: kid,
});

/** Makes sure that every algorithm has an active key and a published next one. Safe on many nodes at once. */
export async function ensureSigningKeys(
  tx: TenantTx,
  masterKeys: readonly MasterKey[],
  now: Date,
): Promise<void> {
  const missing = findMissing(await readRows(tx), now);
  if (!missing.length) {
    return;
  }
  const made = await Promise.all(missing.map(async (key) => ({ ...key, pair: await generate(key.alg) })));
  await lockKeys(tx);
  const still = findMissing(await readRows(tx), now);
  for (const { alg, active_from, pair } of made) {
    if (still.some((key) => key.alg === alg && (key.active_from === null) === (active_from === null))) {
      await insertKey(tx, masterKeys, { alg, published_at: now, active_from, pair });
    }
  }
}

function findMissing(rows: SigningKeyRow[], now: Date): { alg: SigningAlg; active_from: Date | null }[] {
  return signingAlgs.flatMap((alg) => {
    const states = rows.filter((row) => row.alg === alg).map((row) => stateOf(row, rows, now));
    return [
      ...(states.includes('active') ? [] : [{ alg, active_from: now }]),
      ...(states.includes('next') ? [] : [{ alg, active_from: null }]),
    ];
  });
}

/** All published keys with their private parts, by state. Throws SealError when no master key opens them. */
export async function readSigningKeys(
  tx: TenantTx,
  masterKeys: readonly MasterKey[],
  now: Date,
): Promise<SigningKeySet> {
  const rows = await readRows(tx);
  const order: SigningKeyState[] = ['active', 'next', 'previous'];
  const keys = rows.flatMap((row): SigningKey[] => {
    const state = stateOf(row, rows, now);
    if (state === undefined) {
      return [];
    }
    const { kid, alg, active_from } = row;
    const private_jwk = JSON.parse(
      open(masterKeys, row.sealed_private_jwk, associated(kid)).toString('utf8'),
    );
    return [{ kid, alg, state, active_from, private_jwk }];
  });
  keys.sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
  const changes = rows
    .flatMap(({ active_from, retired_at }) => [active_from, retired_at])
    .filter((at): at is Date => at !== null && at > now);
  return { keys, next_change: changes.length ? new Date(Math.min(...changes.map(Number))) : undefined };
}

export interface Rotation {
  alg: SigningAlg;
  kid: string;
  active_from: Date;
  /** False when this rotation was planned before; nothing was changed then. */
  planned_now: boolean;
}

/**
 * Lets the next key of each algorithm take over as soon as every verifier must know it, retires the active one after its
 * tokens have expired, and publishes a new next key. With `at_once` it takes over now: for a key that leaked.
 * Asked again before the planned time, or just after it, it changes nothing.
 */
export async function rotateSigningKeys(
  tx: TenantTx,
  masterKeys: readonly MasterKey[],
  {
    now,
    at_once = false,
    algs = signingAlgs,
  }: { now: Date; at_once?: boolean; algs?: readonly SigningAlg[] },
): Promise<Rotation[]> {
  const before = await readRows(tx);
  const wanted = algs.filter((alg) => at_once || !findRotation(before, alg, now));
  // Made before the lock is held: whoever waits for it waits for no prime numbers.
  const pairs = new Map(await Promise.all(wanted.map(async (alg) => [alg, await generate(alg)] as const)));
  await lockKeys(tx);
  const rows = await readRows(tx);
  const rotations: Rotation[] = [];
  for (const alg of algs) {
    const known = findRotation(rows, alg, now);
    if (known && !at_once) {
      rotations.push({ alg, kid: known.kid, active_from: known.active_from!, planned_now: false });
      continue;
    }
    const planned = known && known.active_from! > now ? known : undefined;
    const next = planned ?? rows.find((row) => row.alg === alg && row.active_from === null);
    if (!next) {
      throw new Error(`no next signing key for ${alg}: start the server once, it publishes one`);
    }
    const everywhere = new Date(next.published_at.getTime() + publishedBefore * 1000);
    const active_from = at_once || everywhere <= now ? now : everywhere;
    const active = rows.find((row) => row.alg === alg && stateOf(row, rows, now) === 'active');
    await tx.updateTable('signing_keys').set({ active_from }).where('kid', '=', next.kid).execute();
    if (active) {
      const retired_at = new Date(active_from.getTime() + previousFor * 1000);
      await tx.updateTable('signing_keys').set({ retired_at }).where('kid', '=', active.kid).execute();
    }
    if (!planned) {
      const pair = pairs.get(alg) ?? (await generate(alg));
      await insertKey(tx, masterKeys, { alg, published_at: now, active_from: null, pair });
    }
    rotations.push({ alg, kid: next.kid, active_from, planned_now: true });
  }
  return rotations;
}

/** The key of the rotation that is planned, or that took place so lately that its successor is not known everywhere. */
function findRotation(rows: SigningKeyRow[], alg: SigningAlg, now: Date): SigningKeyRow | undefined {
  return rows.find(
    ({ alg: of, active_from, published_at }) =>
      of === alg &&
      active_from !== null &&
      active_from.getTime() > now.getTime() - publishedBefore * 1000 &&
      // The first key of a server signs from its making: nothing was rotated.
      active_from.getTime() !== published_at.getTime(),
  );
}

/** The scheduled part: rotates what is older than 90 days and removes what was retired. */
export async function maintainSigningKeys(
  tx: TenantTx,
  masterKeys: readonly MasterKey[],
  now: Date,
): Promise<void> {
  await tx.deleteFrom('signing_keys').where('retired_at', '<=', now).execute();
  const rows = await readRows(tx);
  const due = signingAlgs.filter((alg) =>
    rows.some(
      (row) =>
        row.alg === alg &&
        stateOf(row, rows, now) === 'active' &&
        now.getTime() - row.active_from!.getTime() > rotateAfter * 1000,
    ),
  );
  if (due.length) {
    await rotateSigningKeys(tx, masterKeys, { now, algs: due });
  }
}

function stateOf(row: SigningKeyRow, rows: SigningKeyRow[], now: Date): SigningKeyState | undefined {
  if (row.retired_at !== null && row.retired_at <= now) {
    return undefined;
  }
  if (row.active_from === null || row.active_from > now) {
    return 'next';
  }
  const successor = rows.some(
    (other) =>
      other.alg === row.alg &&
      other.active_from !== null &&
      other.active_from <= now &&
      other.active_from > row.active_from!,
  );
  return successor ? 'previous' : 'active';
}

async function readRows(tx: TenantTx): Promise<SigningKeyRow[]> {
  return tx
    .selectFrom('signing_keys')
    .select(['kid', 'alg', 'sealed_private_jwk', 'published_at', 'active_from', 'retired_at'])
    .orderBy(sql`active_from desc nulls first`)
    .orderBy('kid')
    .execute();
}

async function insertKey(
  tx: TenantTx,
  masterKeys: readonly MasterKey[],
  {
    alg,
    pair: { privateKey, publicKey },
    ...times
  }: { alg: SigningAlg; pair: KeyPairKeyObjectResult; published_at: Date; active_from: Date | null },
) {
  const kid = randomBytes(12).toString('base64url');
  const header = { kid, alg, use: 'sig' };
  const private_jwk = Buffer.from(JSON.stringify({ ...privateKey.export({ format: 'jwk' }), ...header }));
  await tx
    .insertInto('signing_keys')
    .values({
      kid,
      alg,
      public_jwk: JSON.stringify({ ...publicKey.export({ format: 'jwk' }), ...header }),
      sealed_private_jwk: seal(masterKeys, private_jwk, associated(kid)),
      ...times,
    })
    .execute();
}

/** RSA of 3,072 bits: 128-bit strength (ASVS 11.2.3). */
function generate(alg: SigningAlg): Promise<KeyPairKeyObjectResult> {
  switch (alg) {
    case 'ES256':
      return generateKeyPair('ec', { namedCurve: 'P-256' });
    case 'EdDSA':
      return generateKeyPair('ed25519', {});
    default:
      return generateKeyPair('rsa', { modulusLength: 3072 });
  }
}
