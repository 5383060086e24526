import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import bcrypt from 'bcryptjs';
import pg from 'pg';
import { type Database, makeDatabase } from '#src/database/pool.ts';
import { withTenant } from '#src/database/tenant.ts';
import { hashClientSecret, matchesClientSecret } from '#src/domain/clients/client-secrets.ts';
import { findClientWithSecrets } from '#src/domain/clients/clients.ts';
import { applyConfiguration } from '#src/domain/configuration/apply.ts';
import { parseConfiguration } from '#src/domain/configuration/parse.ts';
import { planConfiguration } from '#src/domain/configuration/plan.ts';
import { hashPassword, verifyPassword } from '#src/domain/credentials/password-hash.ts';
import { findTenantIdInDirectory } from '#src/domain/tenants/directory.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import { findTenant, listTenantDomains } from '#src/domain/tenants/tenants.ts';
import { findUserByEmail } from '#src/domain/users/users.ts';
import { makeHashingQueue } from '#src/lib/hashing-queue.ts';
import { createTestDatabase, runStatements, type TestDatabase } from '#test/support/postgres.ts';

let database: TestDatabase;
let db: Database;
const time = new Date();
const hashing = makeHashingQueue({ concurrency: 2, maxWaiting: 50, maxWaitMs: 30_000 });

beforeAll(async () => {
  database = await createTestDatabase();
  db = makeDatabase({ url: database.runtimeUrl, max: 6 });
});
afterAll(async () => {
  await db.close();
  await database.drop();
});

const services = () => ({ db, hashing, now: () => time });
const read = (file: object) => parseConfiguration(JSON.stringify(file), {});
const plan = (file: object) => planConfiguration(services(), read(file));
const apply = (file: object) => applyConfiguration(services(), read(file));

async function tenantId(slug: string): Promise<string> {
  const tenant_id = await findTenantIdInDirectory(db, 'slug', slug);
  expect(tenant_id).toEqual(expect.any(String));
  return tenant_id!;
}

async function userOf(slug: string, email: string) {
  return (await withTenant(db, await tenantId(slug), (tx) => findUserByEmail(tx, email)))!;
}

async function clientOf(slug: string, client_id: string) {
  const tenant_id = slug === 'platform' ? platformTenantId : await tenantId(slug);
  return (await withTenant(db, tenant_id, (tx) => findClientWithSecrets(tx, client_id)))!;
}

const actions = (changes: { action: string }[]) => [...new Set(changes.map(({ action }) => action))];
const password = 'correct horse battery staple';
const machine = (client_id: string, fields: object = {}) => ({
  client_id,
  grant_types: ['client_credentials'],
  ...fields,
});

/** One of everything, with names of its own, so that tests do not meet. */
const everything = (slug: string) => ({
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

test('makes everything, shows it in the plan before, and finds it unchanged after', async () => {
  const file = everything('one');
  const planned = await plan(file);
  expect(actions(planned)).toEqual(['create']);
  expect(await findTenantIdInDirectory(db, 'slug', 'one')).toBeUndefined();

  const { changes, generated } = await apply(file);
  expect(changes).toEqual(planned);
  expect(generated.map(({ client_id }) => client_id)).toEqual(['one-machine']);

  const again = await apply(file);
  expect(actions(again.changes)).toEqual(['unchanged']);
  expect(again.generated).toEqual([]);
  expect(actions(await plan(file))).toEqual(['unchanged']);
});

test('holds what the file says', async () => {
  await apply(everything('two'));
  const tenant_id = await tenantId('two');
  const tenant = await withTenant(db, tenant_id, findTenant);
  expect(tenant).toMatchObject({
    name: 'A tenant',
    settings: { mfa: 'optional', session: { idle: 'PT30M' } },
  });
  expect(await withTenant(db, tenant_id, listTenantDomains)).toEqual(['two.test']);

  const alice = await userOf('two', 'alice@two.test');
  expect(alice).toMatchObject({ name: 'Alice', email_verified: true, roles: ['admin', 'member'] });
  expect(await verifyPassword(password, alice.password_hash!)).toBe(true);
  expect(await userOf('two', 'bob@two.test')).toMatchObject({
    name: null,
    email_verified: false,
    password_hash: null,
  });

  const web = await clientOf('two', 'two-web');
  expect(web).toMatchObject({
    shared: false,
    require_pkce: false,
    first_party: true,
    response_modes: ['query'],
  });
  expect(matchesClientSecret('a secret of an operator', web.secrets, time)).toBe(true);
  expect(await clientOf('platform', 'two-shared')).toMatchObject({ shared: true, allowed_tenants: ['two'] });
});

test('plans without a secret in the plan', async () => {
  const text = JSON.stringify(await plan(everything('three')));
  expect(text).toContain('three-web');
  expect(text).not.toContain(password);
  expect(text).not.toContain('a secret of an operator');
});

test('names the fields that an update changes, and changes only those', async () => {
  const file = everything('four');
  await apply(file);
  const changed = structuredClone(file);
  const [tenant] = changed.tenants;
  tenant!.name = 'Four';
  tenant!.users[0]!.roles = ['admin'];
  tenant!.users[0]!.password = 'another horse battery staple';
  tenant!.roles[1] = { name: 'member', permissions: ['orders.read'] };
  Object.assign(tenant!.clients[0]!, { first_party: false });
  const { changes } = await apply(changed);
  expect(changes.filter(({ action }) => action !== 'unchanged')).toEqual([
    { action: 'update', kind: 'tenant', tenant: 'four', name: 'four', fields: ['name'] },
    { action: 'update', kind: 'role', tenant: 'four', name: 'member', fields: ['permissions'] },
    {
      action: 'update',
      kind: 'user',
      tenant: 'four',
      name: 'alice@four.test',
      fields: ['roles', 'password'],
    },
    { action: 'update', kind: 'client', tenant: 'four', name: 'four-web', fields: ['first_party'] },
  ]);
  const alice = await userOf('four', 'alice@four.test');
  expect(await verifyPassword('another horse battery staple', alice.password_hash!)).toBe(true);
  expect(actions(await plan(changed))).toEqual(['unchanged']);
});

test('leaves alone what the file does not name', async () => {
  await apply(everything('five'));
  const tenant_id = await tenantId('five');
  await runStatements(database.superUrl, [
    `update users set name = 'Robert', email_verified = true, status = 'disabled' where email = 'bob@five.test'`,
    `update clients set status = 'disabled' where client_id = 'five-machine'`,
  ]);
  await apply({
    tenants: [{ slug: 'five', users: [{ email: 'bob@five.test' }], clients: [machine('five-machine')] }],
  });
  expect(await withTenant(db, tenant_id, findTenant)).toMatchObject({
    name: 'A tenant',
    settings: { mfa: 'optional' },
  });
  expect(await withTenant(db, tenant_id, listTenantDomains)).toEqual(['five.test']);
  expect(await userOf('five', 'bob@five.test')).toMatchObject({
    name: 'Robert',
    email_verified: true,
    status: 'disabled',
  });
  expect(await userOf('five', 'alice@five.test')).toMatchObject({ roles: ['admin', 'member'] });
  expect(await clientOf('five', 'five-machine')).toMatchObject({ status: 'disabled', resources: [] });
  expect(await clientOf('five', 'five-web')).toMatchObject({ client_name: 'Web' });
});

describe('a password', () => {
  const hashOf = async (slug: string) => (await userOf(slug, `bob@${slug}.test`)).password_hash;
  const bob = (slug: string, fields: object) => ({
    tenants: [{ slug, users: [{ email: `bob@${slug}.test`, ...fields }] }],
  });

  test('that is the same keeps its hash', async () => {
    await apply(bob('same-password', { password }));
    const before = await hashOf('same-password');
    await apply(bob('same-password', { password }));
    expect(await hashOf('same-password')).toBe(before);
  });

  test('that came as a hash is stored as it is [H-03]', async () => {
    const password_hash = await bcrypt.hash(password, 10);
    await apply(bob('imported', { password_hash }));
    expect(await hashOf('imported')).toBe(password_hash);
    const newer = await bcrypt.hash(`${password}!`, 10);
    await apply(bob('imported', { password_hash: newer }));
    expect(await hashOf('imported')).toBe(newer);
  });

  test('that came as a hash never replaces one that was made here', async () => {
    const password_hash = await bcrypt.hash(password, 10);
    await apply(bob('upgraded', { password_hash }));
    const own = await hashPassword(password);
    await runStatements(database.superUrl, [
      `update users set password_hash = '${own}' where email = 'bob@upgraded.test'`,
    ]);
    const { changes } = await apply(bob('upgraded', { password_hash }));
    expect(actions(changes)).toEqual(['unchanged']);
    expect(await hashOf('upgraded')).toBe(own);
  });

  test('needs 15 characters, or 8 beside a second factor [N-01, A-082]', async () => {
    const file = (mfa: string, password: string) => ({
      tenants: [{ slug: 'bounds', settings: { mfa }, users: [{ email: 'bob@bounds.test', password }] }],
    });
    await expect(apply(file('optional', 'fourteen chars'))).rejects.toMatchObject({
      code: 'invalid',
      problems: ['tenants[0].users[0].password: has 14 characters where at least 15 are needed'],
    });
    await expect(apply(file('required', 'seven c'))).rejects.toThrow('at least 8 are needed');
    await apply(file('required', 'eight ch'));
    // The setting that the database holds counts where the file is silent.
    await apply({
      tenants: [{ slug: 'bounds', users: [{ email: 'bob@bounds.test', password: 'eight ch' }] }],
    });
    await expect(apply(file('optional', 'eight ch'))).rejects.toThrow('at least 15 are needed');
  });
});

describe('a client secret', () => {
  const file = (slug: string, fields: object) => ({
    tenants: [{ slug, clients: [machine(`${slug}-client`, fields)] }],
  });

  test('is made of 256 bits where one is needed, shown once and then kept', async () => {
    const { generated } = await apply(file('made', {}));
    expect(generated).toEqual([
      { client_id: 'made-client', client_secret: expect.stringMatching(/^[\w-]{43}$/) },
    ]);
    const { secrets } = await clientOf('made', 'made-client');
    expect(secrets.map(({ secret_hash }) => secret_hash)).toEqual([
      hashClientSecret(generated[0]!.client_secret),
    ]);
    expect((await apply(file('made', { client_name: 'Renamed' }))).generated).toEqual([]);
  });

  test('is made anew once every other has ended', async () => {
    await apply(file('ended', {}));
    await runStatements(database.superUrl, [
      `update client_secrets set expires_at = now() where client_id = 'ended-client'`,
    ]);
    expect((await apply(file('ended', {}))).generated).toHaveLength(1);
  });

  test('that changes leaves the one before for 24 hours', async () => {
    await apply(file('changed', { client_secret: 'the first of two secrets' }));
    const { changes } = await apply(file('changed', { client_secret: 'the second of two secrets' }));
    expect(changes.at(-1)).toMatchObject({ action: 'update', fields: ['client_secret'] });
    const { secrets } = await clientOf('changed', 'changed-client');
    const ends = (secret: string) =>
      secrets.find(({ secret_hash }) => secret_hash.equals(hashClientSecret(secret)))?.expires_at;
    expect(ends('the first of two secrets')).toEqual(new Date(time.getTime() + 24 * 3_600_000));
    expect(ends('the second of two secrets')).toBeNull();
  });

  test('that changes with an overlap of nothing ends the one before at once', async () => {
    await apply(file('cut', { client_secret: 'the first of two secrets' }));
    await apply(file('cut', { client_secret: 'the second of two secrets', client_secret_overlap: 'PT0S' }));
    const { secrets } = await clientOf('cut', 'cut-client');
    expect(matchesClientSecret('the first of two secrets', secrets, time)).toBe(false);
    expect(matchesClientSecret('the second of two secrets', secrets, time)).toBe(true);
  });

  test('is not made for a client that proves itself otherwise', async () => {
    const { generated } = await apply({
      tenants: [
        {
          slug: 'secretless',
          clients: [
            {
              client_id: 'secretless-spa',
              token_endpoint_auth_method: 'none',
              redirect_uris: ['http://localhost/cb'],
            },
          ],
        },
      ],
    });
    expect(generated).toEqual([]);
  });
});

describe('names what does not exist', () => {
  test('in the file or the database, all at once and before anything is changed', async () => {
    const file = {
      resources: [{ identifier: 'https://known.test', scopes: ['read'] }],
      clients: [
        {
          client_id: 'unknown-shared',
          redirect_uris: ['https://a.test/'],
          allowed_tenants: ['nowhere', 'missing'],
        },
      ],
      tenants: [
        {
          slug: 'missing',
          users: [{ email: 'bob@missing.test', roles: ['king'] }],
          clients: [
            machine('missing-machine', {
              resources: [
                { identifier: 'https://unknown.test' },
                { identifier: 'https://known.test', scopes: ['read', 'admin'] },
              ],
            }),
          ],
        },
      ],
    };
    const problems = [
      'tenants[0].clients[0].resources[0].identifier: https://unknown.test is no resource of the tenant or the platform',
      'tenants[0].clients[0].resources[1].scopes[1]: admin is no scope of https://known.test',
      'tenants[0].users[0].roles[0]: king is no role of the tenant',
      'clients[0].allowed_tenants[0]: nowhere is no tenant',
    ];
    await expect(plan(file)).rejects.toMatchObject({ code: 'invalid', problems });
    await expect(apply(file)).rejects.toMatchObject({ code: 'invalid', problems });
    expect(await findTenantIdInDirectory(db, 'slug', 'missing')).toBeUndefined();
    expect(await findTenantIdInDirectory(db, 'client', 'unknown-shared')).toBeUndefined();
  });

  test('but finds roles and resources that an earlier file made', async () => {
    await apply(everything('earlier'));
    await apply({
      tenants: [
        {
          slug: 'earlier',
          users: [{ email: 'carol@earlier.test', roles: ['admin'] }],
          clients: [
            machine('earlier-2', {
              resources: [{ identifier: 'https://api.earlier.test', scopes: ['orders'] }],
            }),
          ],
        },
      ],
    });
    expect(await userOf('earlier', 'carol@earlier.test')).toMatchObject({ roles: ['admin'] });
  });
});

describe('a name that another tenant has [A-175]', () => {
  beforeAll(() => apply(everything('owner')));

  test('is refused by the value that the file gives and nothing else', async () => {
    const file = {
      tenants: [
        { slug: 'taker', domains: ['owner.test'], clients: [machine('owner-web'), machine('owner-shared')] },
      ],
    };
    const refusal = {
      code: 'conflict',
      problems: [
        'tenants[0].domains[0]: owner.test is taken',
        'tenants[0].clients[0].client_id: owner-web is taken',
        'tenants[0].clients[1].client_id: owner-shared is taken',
      ],
    };
    await expect(plan(file)).rejects.toMatchObject(refusal);
    await expect(apply(file)).rejects.toMatchObject(refusal);
    expect(await findTenantIdInDirectory(db, 'slug', 'taker')).toBeUndefined();
  });

  test('is refused alike when it was taken while the file was applied', async () => {
    const other = new pg.Client({ connectionString: database.runtimeUrl });
    await other.connect();
    await other.query(
      `begin; select set_config('app.current_tenant_id', '${await tenantId('owner')}', true)`,
    );
    await other.query(
      `insert into clients (client_id, client_name, grant_types, token_endpoint_auth_method) values ('contested', 'x', '{}', 'none')`,
    );
    const applied = apply({ tenants: [{ slug: 'late', clients: [machine('contested')] }] });
    applied.catch(() => {});
    await untilSomebodyWaits();
    await other.query('commit');
    await other.end();
    await expect(applied).rejects.toMatchObject({
      code: 'conflict',
      problems: ['tenants[0].clients[0].client_id: contested is taken'],
    });
    expect(await findTenantIdInDirectory(db, 'slug', 'late')).toBeUndefined();
  });

  async function untilSomebodyWaits() {
    for (;;) {
      const waiting = await runStatements(database.superUrl, [
        `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      ]);
      if (waiting.length > 0) {
        return;
      }
    }
  }
});

test('run four times at the same time makes everything once', async () => {
  const runs = await Promise.all(Array.from({ length: 4 }, () => apply(everything('racing'))));
  expect(runs.flatMap(({ generated }) => generated)).toHaveLength(1);
  const created = runs.filter(({ changes }) =>
    changes.some(({ kind, action }) => kind === 'tenant' && action === 'create'),
  );
  expect(created).toHaveLength(1);
  expect(await runStatements(database.superUrl, [`select from tenants where slug = 'racing'`])).toHaveLength(
    1,
  );
  expect((await clientOf('racing', 'racing-machine')).secrets).toHaveLength(1);
});

test('stopped half-way leaves whole tenants, and completes when run again', async () => {
  const file = { tenants: [everything('half-a'), everything('half-b')].flatMap(({ tenants }) => tenants) };
  await apply({ resources: everything('x').resources });
  await runStatements(database.superUrl, [
    `create function fail() returns trigger language plpgsql as $$ begin raise exception 'stopped'; end $$`,
    'grant execute on function fail() to public',
    `create trigger fail before insert on clients for each row when (new.client_id = 'half-b-signed') execute function fail()`,
  ]);
  await expect(apply(file)).rejects.toThrow('stopped');
  await runStatements(database.superUrl, ['drop trigger fail on clients', 'drop function fail()']);
  expect(await findTenantIdInDirectory(db, 'slug', 'half-b')).toBeUndefined();

  const { changes } = await apply(file);
  expect(actions(changes.filter(({ tenant }) => tenant === 'half-a'))).toEqual(['unchanged']);
  expect(actions(changes.filter(({ tenant }) => tenant === 'half-b'))).toEqual(['create']);
});
