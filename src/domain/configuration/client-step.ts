import type { TenantTx } from '#src/database/tenant.ts';
import { addClientSecret, hashClientSecret, makeClientSecret } from '#src/domain/clients/client-secrets.ts';
import { type ClientWithSecrets, putClient } from '#src/domain/clients/clients.ts';
import { parseDuration } from '#src/lib/duration.ts';
import { describeChange, type Step } from './change.ts';
import { type ConfiguredClient, usesSecret } from './client-schema.ts';

/** Makes the client what the file says, and gives it a secret where it needs one and has none that is alive. */
export function planClient(
  client: ConfiguredClient,
  stored: ClientWithSecrets | undefined,
  { shared, now }: { shared: boolean; now: Date },
): Step {
  const wanted = wantedClient(client, stored, shared);
  const secret = planSecret(client, stored, now);
  const { client_id, ...fields } = wanted;
  return {
    change: describeChange('client', client_id, {
      stored,
      wanted: { ...fields, ...(secret ? { client_secret: true } : {}) },
    }),
    ...(secret?.generated ? { generated: { client_id, client_secret: secret.secret } } : {}),
    async perform(tx) {
      const { jwks, resources, ...rest } = wanted;
      await putClient(tx, {
        ...rest,
        jwks: jwks && JSON.stringify(jwks),
        resources: JSON.stringify(resources),
      });
      if (secret) {
        await addSecret(tx, client_id, secret);
      }
    },
  };
}

function wantedClient(client: ConfiguredClient, stored: ClientWithSecrets | undefined, shared: boolean) {
  const { client_secret: _, client_secret_overlap: __, ...metadata } = client;
  return {
    ...metadata,
    client_name: client.client_name ?? client.client_id,
    status: client.status ?? stored?.status ?? ('active' as const),
    shared,
    allowed_tenants: client.allowed_tenants ?? null,
    jwks: client.jwks ?? null,
    jwks_uri: client.jwks_uri ?? null,
    client_uri: client.client_uri ?? null,
  };
}

interface NewSecret {
  secret: string;
  generated: boolean;
  /** When the secrets before it end. */
  retire_at?: Date;
}

function planSecret(
  client: ConfiguredClient,
  stored: ClientWithSecrets | undefined,
  now: Date,
): NewSecret | undefined {
  if (!usesSecret(client)) {
    return undefined;
  }
  const alive = stored?.secrets ?? [];
  if (client.client_secret === undefined) {
    return alive.length === 0 ? { secret: makeClientSecret(), generated: true } : undefined;
  }
  const hash = hashClientSecret(client.client_secret);
  if (alive.some(({ secret_hash, expires_at }) => secret_hash.equals(hash) && expires_at === null)) {
    return undefined;
  }
  const retire_at = new Date(now.getTime() + parseDuration(client.client_secret_overlap) * 1000);
  return { secret: client.client_secret, generated: false, retire_at };
}

async function addSecret(tx: TenantTx, client_id: string, { secret, retire_at }: NewSecret): Promise<void> {
  await addClientSecret(tx, client_id, { secret, ...(retire_at ? { retire_at } : {}) });
}
