import type { TenantTx } from '#src/database/tenant.ts';
import { type ClientInput, findClientWithSecrets, putClient } from './clients.ts';

/** Our own page of a person's account signs people in as a client like any other. */
export const accountClientId = 'tessera-account';

const reserved = /^tessera-/i;

/** Whether the client_id is kept for clients of the product itself: no configuration shows, changes or makes one. */
export function isReservedClientId(client_id: string): boolean {
  return reserved.test(client_id);
}

/** Where the browser comes back to after a sign-in for the account page. */
export function accountRedirectUri(issuer: string): string {
  return `${issuer}/account/signed-in`;
}

/**
 * Makes the product's own clients what they have to be for this issuer. Runs under the platform tenant; where they are so
 * already it writes nothing, since every change makes all nodes read anew. Whether one is disabled is left as it is.
 */
export async function ensureBuiltInClients(tx: TenantTx, issuer: string): Promise<void> {
  const wanted = {
    client_id: accountClientId,
    // A part of sentences such as "to continue to …".
    client_name: 'your account',
    shared: true,
    first_party: true,
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code'],
    redirect_uris: [accountRedirectUri(issuer)],
  } satisfies ClientInput;
  const stored: Partial<Record<string, unknown>> = (await findClientWithSecrets(tx, accountClientId)) ?? {};
  const differs = Object.entries(wanted).some(
    ([name, value]) => JSON.stringify(stored[name]) !== JSON.stringify(value),
  );
  if (differs) {
    await putClient(tx, wanted);
  }
}
