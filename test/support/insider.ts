import { importJWK } from 'jose';
import pg from 'pg';
import { withTenant } from '#src/database/tenant.ts';
import { ensureServerSecrets } from '#src/domain/keys/server-secrets.ts';
import { readSigningKeys, type SigningAlg } from '#src/domain/keys/signing-keys.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import { makeMasterKeyText, parseMasterKeys } from '#src/lib/master-key.ts';
import { makeProtocolCipher } from '#src/oidc/protocol-cipher.ts';
import type { Fixture } from './fixture.ts';

/** The master keys of a server that a test starts with `env: { MASTER_KEYS: insiderMasterKeys }`. */
export const insiderMasterKeys = makeMasterKeyText('insider');

/** Members of stored objects that are points in time. */
const times = new Set(['exp', 'iat', 'iiat', 'loginTs', 'authTime']);

type Payload = Record<string, unknown>;
type Table = 'protocol_store' | 'sessions';
type Row = { tenant_id: string; key: Buffer; sealed_payload: Buffer; expires_at: Date };

const tableOf = (model: string): Table => (model === 'Session' ? 'sessions' : 'protocol_store');
/** Columns that are points in time. */
const columnsOf: Record<Table, string[]> = {
  protocol_store: ['expires_at'],
  sessions: ['created_at', 'authenticated_at', 'last_activity_at', 'expires_at', 'ends_at'],
};

/**
 * What only the server knows, for tests that forge or move time: its signing keys, and its stored objects by the value that
 * their bearer holds.
 */
export async function makeInsider({ db, urls }: Pick<Fixture, 'db' | 'urls'>) {
  const parsed = parseMasterKeys(insiderMasterKeys);
  if (!parsed.ok) {
    throw new Error(parsed.problems.join());
  }
  const { keys, secrets } = await withTenant(db, platformTenantId, async (tx) => ({
    keys: (await readSigningKeys(tx, parsed.keys, new Date())).keys,
    secrets: await ensureServerSecrets(tx, parsed.keys),
  }));
  const cipher = makeProtocolCipher(secrets.protocol_store);
  const pool = new pg.Pool({ connectionString: urls.superUrl, max: 1, allowExitOnIdle: true });
  // Dropping the database ends its connections.
  pool.on('error', () => {});

  return {
    /** The active private key of this algorithm, with its kid. */
    async signingKey(alg: SigningAlg) {
      const { kid, private_jwk } = keys.find((key) => key.alg === alg && key.state === 'active')!;
      return { kid, key: await importJWK(private_jwk, alg), private_jwk };
    },
    /** The stored object, undefined when there is none. */
    async find(model: string, id: string): Promise<{ expires_at: Date; payload: Payload } | undefined> {
      const table = tableOf(model);
      const { rows } = await pool.query<Row>(`select * from ${table} where key = $1`, [
        cipher.key(model, id),
      ]);
      const [row] = rows;
      return (
        row && { expires_at: row.expires_at, payload: cipher.open(row.sealed_payload, { ...row, table }) }
      );
    },
    /** Lets it expire in this many seconds by the clock of the database. */
    async expireIn(model: string, id: string, seconds: number): Promise<void> {
      await pool.query(
        'update protocol_store set expires_at = now() + make_interval(secs => $2) where key = $1',
        [cipher.key(model, id), seconds],
      );
    },
    /** Lets the session of this uid, which tokens name, have ended. */
    async expireSession(uid: string): Promise<void> {
      await pool.query('update sessions set expires_at = now() where uid_key = $1', [cipher.key('uid', uid)]);
    },
    /** Makes it so many seconds older, in the row and in what is sealed there, and gives what is sealed. */
    async age(model: string, id: string, seconds: number): Promise<Payload> {
      const key = cipher.key(model, id);
      const table = tableOf(model);
      const { rows } = await pool.query<Row>(`select * from ${table} where key = $1`, [key]);
      const row = rows[0]!;
      const aged = Object.fromEntries(
        Object.entries(cipher.open(row.sealed_payload, { ...row, table })).map(([name, value]) =>
          times.has(name) ? [name, Number(value) - seconds] : [name, value],
        ),
      );
      const moved = columnsOf[table].map((name) => `${name} = ${name} - make_interval(secs => $3)`);
      await pool.query(`update ${table} set sealed_payload = $2, ${moved.join(', ')} where key = $1`, [
        key,
        cipher.seal(aged, { ...row, table }),
        seconds,
      ]);
      return aged;
    },
  };
}

export type Insider = Awaited<ReturnType<typeof makeInsider>>;
