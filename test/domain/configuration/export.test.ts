import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Database, makeDatabase } from '#src/database/pool.ts';
import { withTenant } from '#src/database/tenant.ts';
import { accountClientId, ensureBuiltInClients } from '#src/domain/clients/built-in-clients.ts';
import { findClientWithSecrets } from '#src/domain/clients/clients.ts';
import { applyConfiguration } from '#src/domain/configuration/apply.ts';
import { exportConfiguration } from '#src/domain/configuration/export.ts';
import { parseConfiguration } from '#src/domain/configuration/parse.ts';
import { makePasswordHashing } from '#src/domain/credentials/password-hashing.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import { makeHashingQueue } from '#src/lib/hashing-queue.ts';
import { createTestDatabase, runStatements, type TestDatabase } from '#test/support/postgres.ts';

const hashing = makePasswordHashing(makeHashingQueue({ concurrency: 2, maxWaiting: 50, maxWaitMs: 30_000 }));
const databases: { test: TestDatabase; db: Database }[] = [];
let db: Database;
let other: Database;

beforeAll(async () => {
  for (let count = 0; count < 2; count++) {
    const test = await createTestDatabase();
    databases.push({ test, db: makeDatabase({ url: test.runtimeUrl, max: 3 }) });
  }
  [db, other] = databases.map(({ db }) => db) as [Database, Database];
  await apply(db, file);
});
afterAll(async () => {
  for (const { db, test } of databases) {
    await db.close();
    await test.drop();
  }
});

const apply = (at: Database, document: object, env = {}) =>
  applyConfiguration(
    { db: at, hashing, now: () => new Date() },
    parseConfiguration(JSON.stringify(document), env),
  );

const password_hash = `$2b$12$${'a'.repeat(53)}`;
const acme = {
  slug: 'acme',
  name: 'Acme Inc',
  domains: ['acme.test'],
  settings: { mfa: 'optional', session: { idle: 'PT30M', absolute: 'PT8H' } },
  resources: [{ identifier: 'https://api.acme.test', name: 'Acme API', scopes: ['orders'] }],
  roles: [{ name: 'admin', permissions: ['users.write'] }, { name: 'member' }],
  users: [
    {
      email: 'alice@acme.test',
      name: 'Alice',
      email_verified: true,
      status: 'invited',
      roles: ['admin', 'member'],
    },
    { email: 'bob@acme.test', status: 'disabled' },
  ],
  clients: [
    {
      client_id: 'acme-machine',
      grant_types: ['client_credentials'],
      token_endpoint_auth_method: 'client_secret_post',
      resources: [{ identifier: 'https://api.example.test', scopes: ['read'] }],
      allowed_ips: ['203.0.113.0/24'],
    },
    {
      client_id: 'acme-web',
      client_name: 'Acme',
      status: 'disabled',
      redirect_uris: ['https://app.acme.test/callback'],
      post_logout_redirect_uris: ['https://app.acme.test/'],
      grant_types: ['authorization_code', 'refresh_token'],
      response_modes: ['form_post'],
      token_endpoint_auth_method: 'private_key_jwt',
      id_token_signed_response_alg: 'PS256',
      jwks_uri: 'https://app.acme.test/jwks',
      client_uri: 'https://app.acme.test/',
      first_party: true,
      require_pkce: false,
      require_pushed_authorization_requests: true,
      dpop_bound_access_tokens: true,
    },
  ],
};
const platform = {
  resources: [{ identifier: 'https://api.example.test', name: 'Example API', scopes: ['read', 'write'] }],
  clients: [
    {
      client_id: 'portal',
      allowed_tenants: ['acme'],
      redirect_uris: ['https://portal.example.test/callback'],
      grant_types: ['authorization_code'],
      token_endpoint_auth_method: 'none',
    },
  ],
};
const file = {
  ...platform,
  tenants: [{ ...acme, users: [acme.users[0], { ...acme.users[1], password_hash }] }],
};

test('gives back the file that made the tenant', async () => {
  expect(await exportConfiguration(db, 'acme')).toEqual({ tenants: [acme] });
});

test('gives the shared clients and resources under the name of the platform', async () => {
  expect(await exportConfiguration(db, 'platform')).toEqual(platform);
});

test('neither shows nor changes the product’s own clients', async () => {
  const read = () =>
    withTenant(db, platformTenantId, async (tx) => {
      await ensureBuiltInClients(tx, 'https://id.example.test');
      return findClientWithSecrets(tx, accountClientId);
    });
  const before = await read();
  expect(before).toMatchObject({
    shared: true,
    redirect_uris: ['https://id.example.test/account/signed-in'],
  });
  expect(await exportConfiguration(db, 'platform')).toEqual(platform);
  await apply(db, file);
  expect(await read()).toEqual(before);
});

test('gives undefined for a tenant that does not exist', async () => {
  expect(await exportConfiguration(db, 'nowhere')).toBeUndefined();
});

test('holds no secret, and hashes of passwords only when asked for', async () => {
  expect(JSON.stringify(await exportConfiguration(db, 'acme'))).not.toMatch(/secret"|\$2b\$/);
  const exported = await exportConfiguration(db, 'acme', { withPasswordHashes: true });
  expect(exported).toMatchObject({ tenants: [{ users: [{}, { password_hash }] }] });
});

test('changes nothing where it came from', async () => {
  const exported = await exportConfiguration(db, 'acme', { withPasswordHashes: true });
  const { changes } = await apply(db, exported!);
  expect(changes.filter(({ action }) => action !== 'unchanged')).toEqual([]);
});

test('makes the same tenant elsewhere, with new secrets', async () => {
  await apply(other, { resources: platform.resources });
  const exported = await exportConfiguration(db, 'acme', { withPasswordHashes: true });
  const { generated } = await apply(other, exported!);
  expect(generated.map(({ client_id }) => client_id)).toEqual(['acme-machine']);
  expect(await exportConfiguration(other, 'acme', { withPasswordHashes: true })).toEqual(exported);
});

test('lets no name that a user chose read the environment of the operator', async () => {
  const name = `\${SMTP_URL} and $\${SMTP_URL}`;
  await runStatements(databases[0]!.test.superUrl, [
    `update users set name = '${name}' where email = 'alice@acme.test'`,
  ]);
  const exported = await exportConfiguration(db, 'acme');
  await apply(db, exported!, { SMTP_URL: 'smtps://user:password@mail.test' });
  expect(
    await runStatements(databases[0]!.test.superUrl, [
      `select name from users where email = 'alice@acme.test'`,
    ]),
  ).toEqual([{ name }]);
});
