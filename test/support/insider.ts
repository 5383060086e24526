import { importJWK } from 'jose';
import { withTenant } from '#src/database/tenant.ts';
import { ensureServerSecrets } from '#src/domain/keys/server-secrets.ts';
import { readSigningKeys, type SigningAlg } from '#src/domain/keys/signing-keys.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import { makeMasterKeyText, parseMasterKeys } from '#src/lib/master-key.ts';
import { makeProtocolCipher } from '#src/oidc/protocol-cipher.ts';
import type { Fixture } from './fixture.ts';
import { runStatements } from './postgres.ts';

/** The master keys of a server that a test starts with `env: { MASTER_KEYS: insiderMasterKeys }`. */
export const insiderMasterKeys = makeMasterKeyText('insider');

type Payload = Record<string, unknown>;

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
  const where = (model: string, id: string) => `key = '\\x${cipher.key(model, id).toString('hex')}'`;
  const update = async (model: string, id: string, change: string) => {
    await runStatements(urls.superUrl, [`update protocol_store set ${change} where ${where(model, id)}`]);
  };

  return {
    /** The active private key of this algorithm, with its kid. */
    async signingKey(alg: SigningAlg) {
      const { kid, private_jwk } = keys.find((key) => key.alg === alg && key.state === 'active')!;
      return { kid, key: await importJWK(private_jwk, alg), private_jwk };
    },
    /** The stored row, undefined when there is none. */
    async find(model: string, id: string): Promise<{ expires_at: Date; payload: Payload } | undefined> {
      const [row] = await runStatements(urls.superUrl, [
        `select tenant_id, key, sealed_payload, expires_at from protocol_store where ${where(model, id)}`,
      ]);
      return (
        row && {
          expires_at: row['expires_at'] as Date,
          payload: cipher.open(row['sealed_payload'] as Buffer, row as { tenant_id: string; key: Buffer }),
        }
      );
    },
    /** Lets it expire in this many seconds by the clock of the database. */
    expireIn: (model: string, id: string, seconds: number) =>
      update(model, id, `expires_at = now() + make_interval(secs => ${seconds})`),
    /** Changes what is sealed in the row. */
    async change(model: string, id: string, alter: (payload: Payload) => Payload): Promise<void> {
      const [row] = await runStatements(urls.superUrl, [
        `select tenant_id, key, sealed_payload from protocol_store where ${where(model, id)}`,
      ]);
      const place = row as { tenant_id: string; key: Buffer; sealed_payload: Buffer };
      const sealed = cipher.seal(alter(cipher.open(place.sealed_payload, place)), place);
      await update(model, id, `sealed_payload = '\\x${sealed.toString('hex')}'`);
    },
  };
}

export type Insider = Awaited<ReturnType<typeof makeInsider>>;
