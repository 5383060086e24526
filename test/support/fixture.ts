import { type CryptoKey, exportJWK, generateKeyPair } from 'jose';
import { type Database, makeDatabase } from '#src/database/pool.ts';
import { withTenant } from '#src/database/tenant.ts';
import { addClientSecret } from '#src/domain/clients/client-secrets.ts';
import { type ClientInput, putClient } from '#src/domain/clients/clients.ts';
import { hashPassword } from '#src/domain/credentials/password-hash.ts';
import { putResourceServer } from '#src/domain/resource-servers/resource-servers.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import { createTenant, replaceTenantDomains } from '#src/domain/tenants/tenants.ts';
import { putRole } from '#src/domain/users/roles.ts';
import { putUser } from '#src/domain/users/users.ts';
import { createTestDatabase } from './postgres.ts';

export const resource = 'https://api.example.test';
export const password = 'correct horse battery staple';
export const redirect_uri = 'http://localhost:4000/callback';
export const post_logout_redirect_uri = 'http://localhost:4000/signed-out';

export interface FixtureTenant {
  tenant_id: string;
  slug: 'acme' | 'globex';
  domain: string;
  /** Users of the same addresses in both tenants: alice is a member, bob an admin. */
  users: { alice: string; bob: string };
}

export interface Fixture {
  db: Database;
  urls: { runtimeUrl: string; ownerUrl: string; superUrl: string };
  acme: FixtureTenant;
  globex: FixtureTenant;
  /** The private key of the `…-pk` clients. */
  clientKey: CryptoKey;
  drop(): Promise<void>;
}

/** Every confidential client's secret is its client_id with this behind it. */
export const secretOf = (client_id: string) => `${client_id}-secret-of-the-fixture`;

const api = JSON.stringify([{ identifier: resource, scopes: ['read'] }]);
const web: Omit<ClientInput, 'client_id'> = {
  client_name: 'Web',
  first_party: true,
  grant_types: ['authorization_code', 'refresh_token'],
  token_endpoint_auth_method: 'client_secret_basic',
  redirect_uris: [redirect_uri],
  post_logout_redirect_uris: [post_logout_redirect_uri],
  resources: api,
};

const machine = {
  grant_types: ['client_credentials'],
  redirect_uris: [],
  post_logout_redirect_uris: [],
};

/**
 * A database with two tenants of identical data, and the clients of each: `acme-web` (confidential), `acme-spa` (public),
 * `acme-pk` (private_key_jwt, DPoP, pushed requests only), `acme-m2m`, `acme-third` (asks for consent); the same for globex;
 * and `shared-web` and `shared-m2m` of the platform.
 */
export async function createFixture(): Promise<Fixture> {
  const database = await createTestDatabase();
  const db = makeDatabase({ url: database.runtimeUrl, max: 4 });
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const jwks = JSON.stringify({
    keys: [{ ...(await exportJWK(publicKey)), kid: 'client-key', alg: 'ES256', use: 'sig' }],
  });
  const password_hash = await hashPassword(password);

  await withTenant(db, platformTenantId, async (tx) => {
    await putResourceServer(tx, { identifier: resource, name: 'Example API', scopes: ['read', 'write'] });
    await putClient(tx, { ...web, client_id: 'shared-web', client_name: 'Shared', shared: true });
    await putClient(tx, {
      ...web,
      ...machine,
      client_id: 'shared-m2m',
      client_name: 'Shared machine',
      shared: true,
    });
    for (const client_id of ['shared-web', 'shared-m2m']) {
      await addClientSecret(tx, client_id, { secret: secretOf(client_id) });
    }
  });

  const makeTenant = async (slug: FixtureTenant['slug'], tenant_id: string): Promise<FixtureTenant> =>
    withTenant(db, tenant_id, async (tx) => {
      const domain = `${slug}.test`;
      await createTenant(tx, { slug, name: slug === 'acme' ? 'Acme Inc' : 'Globex' });
      await replaceTenantDomains(tx, [domain]);
      await putRole(tx, { name: 'admin', permissions: [] });
      const person = { email_verified: true, password_hash };
      const users = {
        alice: await putUser(tx, { ...person, email: 'alice@example.test', name: 'Alice', roles: [] }),
        bob: await putUser(tx, { ...person, email: 'bob@example.test', name: 'Bob', roles: ['admin'] }),
      };
      const clients: ClientInput[] = [
        { ...web, client_id: `${slug}-web` },
        { ...web, client_id: `${slug}-spa`, client_name: 'SPA', token_endpoint_auth_method: 'none' },
        {
          ...web,
          client_id: `${slug}-pk`,
          client_name: 'High assurance',
          token_endpoint_auth_method: 'private_key_jwt',
          jwks,
          require_pushed_authorization_requests: true,
          dpop_bound_access_tokens: true,
        },
        {
          ...web,
          ...machine,
          client_id: `${slug}-m2m`,
          client_name: 'Machine',
        },
        { ...web, client_id: `${slug}-third`, client_name: 'Third party', first_party: false },
      ];
      for (const client of clients) {
        await putClient(tx, client);
        if (client.token_endpoint_auth_method === 'client_secret_basic') {
          await addClientSecret(tx, client.client_id, { secret: secretOf(client.client_id) });
        }
      }
      return { tenant_id, slug, domain, users };
    });

  return {
    db,
    urls: database,
    acme: await makeTenant('acme', crypto.randomUUID()),
    globex: await makeTenant('globex', crypto.randomUUID()),
    clientKey: privateKey,
    async drop() {
      await db.close();
      await database.drop();
    },
  };
}
