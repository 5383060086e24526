import { generateKeyPair as generateKeyPairCallback, randomBytes } from 'node:crypto';
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

/** JWKS max-age, and so the time for which a key is published before it signs: every verifier has it by then. Seconds. */
export const jwksMaxAge = 600;

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
  await lockKeys(tx);
  const rows = await readRows(tx);
  const missing: { alg: SigningAlg; active_from: Date | null }[] = [];
  for (const alg of signingAlgs) {
    const states = rows.filter((row) => row.alg === alg).map((row) => stateOf(row, rows, now));
    if (!states.includes('active')) {
      missing.push({ alg, active_from: now });
    }
    if (!states.includes('next')) {
      missing.push({ alg, active_from: null });
    }
  }
  await Promise.all(
    missing.map(async (key) => insertKey(tx, masterKeys, key.alg, { now, active_from: key.active_from })),
  );
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
 * Asked again before the planned time it changes nothing.
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
  await lockKeys(tx);
  const rows = await readRows(tx);
  const rotations: Rotation[] = [];
  for (const alg of algs) {
    const ofAlg = rows.filter((row) => row.alg === alg);
    const planned = ofAlg.find((row) => row.active_from !== null && row.active_from > now);
    if (planned && !at_once) {
      rotations.push({ alg, kid: planned.kid, active_from: planned.active_from!, planned_now: false });
      continue;
    }
    const next = planned ?? ofAlg.find((row) => row.active_from === null);
    if (!next) {
      throw new Error(`no next signing key for ${alg}: start the server once, it publishes one`);
    }
    const known = new Date(next.published_at.getTime() + jwksMaxAge * 1000);
    const active_from = at_once || known <= now ? now : known;
    const active = ofAlg.find((row) => stateOf(row, rows, now) === 'active');
    await tx.updateTable('signing_keys').set({ active_from }).where('kid', '=', next.kid).execute();
    if (active) {
      const retired_at = new Date(active_from.getTime() + previousFor * 1000);
      await tx.updateTable('signing_keys').set({ retired_at }).where('kid', '=', active.kid).execute();
    }
    if (!planned) {
      await insertKey(tx, masterKeys, alg, { now, active_from: null });
    }
    rotations.push({ alg, kid: next.kid, active_from, planned_now: true });
  }
  return rotations;
}

/** The scheduled part: rotates what is older than 90 days and removes what was retired. */
export async function maintainSigningKeys(
  tx: TenantTx,
  masterKeys: readonly MasterKey[],
  now: Date,
): Promise<void> {
  await lockKeys(tx);
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
  alg: SigningAlg,
  { now, active_from }: { now: Date; active_from: Date | null },
) {
  const kid = randomBytes(12).toString('base64url');
  const { privateKey, publicKey } = await generate(alg);
  const header = { kid, alg, use: 'sig' };
  const private_jwk = Buffer.from(JSON.stringify({ ...privateKey.export({ format: 'jwk' }), ...header }));
  await tx
    .insertInto('signing_keys')
    .values({
      kid,
      alg,
      public_jwk: JSON.stringify({ ...publicKey.export({ format: 'jwk' }), ...header }),
      sealed_private_jwk: seal(masterKeys, private_jwk, associated(kid)),
      published_at: now,
      active_from,
    })
    .execute();
}

/** RSA of 3,072 bits: 128-bit strength (ASVS 11.2.3). */
function generate(alg: SigningAlg) {
  switch (alg) {
    case 'ES256':
      return generateKeyPair('ec', { namedCurve: 'P-256' });
    case 'EdDSA':
      return generateKeyPair('ed25519', {});
    default:
      return generateKeyPair('rsa', { modulusLength: 3072 });
  }
}
