import { expect } from '@jest/globals';
import { type Database, makeDatabase } from '#src/database/pool.ts';
import { withTenant } from '#src/database/tenant.ts';
import { findClientWithSecrets } from '#src/domain/clients/clients.ts';
import { applyConfiguration } from '#src/domain/configuration/apply.ts';
import { parseConfiguration } from '#src/domain/configuration/parse.ts';
import { planConfiguration } from '#src/domain/configuration/plan.ts';
import { makePasswordHashing } from '#src/domain/credentials/password-hashing.ts';
import { findTenantIdInDirectory } from '#src/domain/tenants/directory.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import { findUserByEmail } from '#src/domain/users/users.ts';
import { makeHashingQueue } from '#src/lib/hashing-queue.ts';
import { createTestDatabase, runStatements } from '#test/support/postgres.ts';

const hashing = makePasswordHashing(makeHashingQueue({ concurrency: 2, maxWaiting: 50, maxWaitMs: 30_000 }));

/** A database of its own, and the ways in which the tests of this folder look at it. */
export async function makeFixture() {
  const database = await createTestDatabase();
  const db: Database = makeDatabase({ url: database.runtimeUrl, max: 6 });
  const now = new Date();
  const services = { db, hashing, now: () => now };
  const read = (file: object) => parseConfiguration(JSON.stringify(file), {});

  async function tenantId(slug: string): Promise<string> {
    const tenant_id = await findTenantIdInDirectory(db, 'slug', slug);
    expect(tenant_id).toEqual(expect.any(String));
    return tenant_id!;
  }

  return {
    db,
    now,
    urls: database,
    plan: (file: object) => planConfiguration(services, read(file)),
    apply: (file: object) => applyConfiguration(services, read(file)),
    tenantId,
    asSuperuser: (...statements: string[]) => runStatements(database.superUrl, statements),
    async userOf(slug: string, email: string) {
      return (await withTenant(db, await tenantId(slug), (tx) => findUserByEmail(tx, email)))!;
    },
    async clientOf(slug: string, client_id: string) {
      const tenant_id = slug === 'platform' ? platformTenantId : await tenantId(slug);
      return (await withTenant(db, tenant_id, (tx) => findClientWithSecrets(tx, client_id)))!;
    },
    async close() {
      await db.close();
      await database.drop();
    },
  };
}

export type Fixture = Awaited<ReturnType<typeof makeFixture>>;

export const actions = (changes: { action: string }[]) => [...new Set(changes.map(({ action }) => action))];
export const password = 'correct horse battery staple';
export const machine = (client_id: string, fields: object = {}) => ({
  client_id,
  grant_types: ['client_credentials'],
  ...fields,
});

/** One of everything, with names of its own, so that tests do not meet. */
export const everything = (slug: string) => ({
  resources: [{ identifier: 'https://api.example.test', name: 'Example API', scopes: ['read', 'write'] }],
  clients: [
    {
      client_id: `${slug}-shared`,
      token_endpoint_auth_method: 'none',
      redirect_uris: ['https://app.example.test/callback'],
      allowed_tenants: [slug],
    },
  ],
  tenants: [
    {
      slug,
      name: 'A tenant',
      domains: [`${slug}.test`],
      settings: { mfa: 'optional', session: { idle: 'PT30M', absolute: 'PT8H' } },
      resources: [{ identifier: `https://api.${slug}.test`, scopes: ['orders'] }],
      roles: [{ name: 'admin', permissions: ['users.write'] }, { name: 'member' }],
      users: [
        {
          email: `Alice@${slug}.test`,
          name: 'Alice',
          password,
          email_verified: true,
          roles: ['member', 'admin'],
        },
        { email: `bob@${slug}.test` },
      ],
      clients: [
        {
          client_id: `${slug}-web`,
          client_name: 'Web',
          client_secret: 'a secret of an operator',
          redirect_uris: [`https://app.${slug}.test/callback`],
          post_logout_redirect_uris: [`https://app.${slug}.test/`],
          grant_types: ['authorization_code', 'refresh_token'],
          response_modes: ['query'],
          id_token_signed_response_alg: 'ES256',
          resources: [{ identifier: 'https://api.example.test', scopes: ['read'] }],
          first_party: true,
          require_pkce: false,
          require_pushed_authorization_requests: true,
          dpop_bound_access_tokens: true,
          allowed_ips: ['203.0.113.0/24'],
        },
        machine(`${slug}-machine`, {
          resources: [{ identifier: `https://api.${slug}.test`, scopes: ['orders'] }],
        }),
        machine(`${slug}-signed`, {
          token_endpoint_auth_method: 'private_key_jwt',
          jwks: {
            keys: [
              {
                kty: 'EC',
                crv: 'P-256',
                x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
                y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
              },
            ],
          },
        }),
      ],
    },
  ],
});
