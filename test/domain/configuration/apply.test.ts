import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { withTenant } from '#src/database/tenant.ts';
import { matchesClientSecret } from '#src/domain/clients/client-secrets.ts';
import { verifyPassword } from '#src/domain/credentials/password-hash.ts';
import { findTenantIdInDirectory } from '#src/domain/tenants/directory.ts';
import { findTenant, listTenantDomains } from '#src/domain/tenants/tenants.ts';
import { actions, everything, type Fixture, machine, makeFixture, password } from './fixture.ts';

let fixture: Fixture;
beforeAll(async () => {
  fixture = await makeFixture();
});
afterAll(() => fixture.close());

test('makes everything, shows it in the plan before, and finds it unchanged after', async () => {
  const file = everything('one');
  const planned = await fixture.plan(file);
  expect(actions(planned)).toEqual(['create']);
  expect(await findTenantIdInDirectory(fixture.db, 'slug', 'one')).toBeUndefined();

  const { changes, generated } = await fixture.apply(file);
  expect(changes).toEqual(planned);
  expect(generated.map(({ client_id }) => client_id)).toEqual(['one-machine']);

  const again = await fixture.apply(file);
  expect(actions(again.changes)).toEqual(['unchanged']);
  expect(again.generated).toEqual([]);
  expect(actions(await fixture.plan(file))).toEqual(['unchanged']);
});

test('holds what the file says', async () => {
  await fixture.apply(everything('two'));
  const tenant_id = await fixture.tenantId('two');
  const tenant = await withTenant(fixture.db, tenant_id, findTenant);
  expect(tenant).toMatchObject({
    name: 'A tenant',
    settings: { mfa: 'optional', session: { idle: 'PT30M' } },
  });
  expect(await withTenant(fixture.db, tenant_id, listTenantDomains)).toEqual(['two.test']);

  const alice = await fixture.userOf('two', 'alice@two.test');
  expect(alice).toMatchObject({ name: 'Alice', email_verified: true, roles: ['admin', 'member'] });
  expect(await verifyPassword(password, alice.password_hash!)).toBe('right');
  expect(await fixture.userOf('two', 'bob@two.test')).toMatchObject({
    name: null,
    email_verified: false,
    password_hash: null,
  });

  const web = await fixture.clientOf('two', 'two-web');
  expect(web).toMatchObject({
    shared: false,
    require_pkce: false,
    first_party: true,
    response_modes: ['query'],
  });
  expect(matchesClientSecret('a secret of an operator', web.secrets, fixture.now)).toBe(true);
  expect(await fixture.clientOf('platform', 'two-shared')).toMatchObject({
    shared: true,
    allowed_tenants: ['two'],
  });
});

test('plans without a secret in the plan', async () => {
  const text = JSON.stringify(await fixture.plan(everything('three')));
  expect(text).toContain('three-web');
  expect(text).not.toContain(password);
  expect(text).not.toContain('a secret of an operator');
});

test('names the fields that an update changes, and changes only those', async () => {
  const file = everything('four');
  await fixture.apply(file);
  const changed = structuredClone(file);
  const [tenant] = changed.tenants;
  tenant!.name = 'Four';
  tenant!.users[0]!.roles = ['admin'];
  tenant!.users[0]!.password = 'another horse battery staple';
  tenant!.roles[1] = { name: 'member', permissions: ['orders.read'] };
  Object.assign(tenant!.clients[0]!, { first_party: false });
  const { changes } = await fixture.apply(changed);
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
  const alice = await fixture.userOf('four', 'alice@four.test');
  expect(await verifyPassword('another horse battery staple', alice.password_hash!)).toBe('right');
  expect(actions(await fixture.plan(changed))).toEqual(['unchanged']);
});

test('leaves alone what the file does not name', async () => {
  await fixture.apply(everything('five'));
  const tenant_id = await fixture.tenantId('five');
  await fixture.asSuperuser(
    `update users set name = 'Robert', email_verified = true, status = 'disabled' where email = 'bob@five.test'`,
    `update clients set status = 'disabled' where client_id = 'five-machine'`,
  );
  await fixture.apply({
    tenants: [{ slug: 'five', users: [{ email: 'bob@five.test' }], clients: [machine('five-machine')] }],
  });
  expect(await withTenant(fixture.db, tenant_id, findTenant)).toMatchObject({
    name: 'A tenant',
    settings: { mfa: 'optional' },
  });
  expect(await withTenant(fixture.db, tenant_id, listTenantDomains)).toEqual(['five.test']);
  expect(await fixture.userOf('five', 'bob@five.test')).toMatchObject({
    name: 'Robert',
    email_verified: true,
    status: 'disabled',
  });
  expect(await fixture.userOf('five', 'alice@five.test')).toMatchObject({ roles: ['admin', 'member'] });
  expect(await fixture.clientOf('five', 'five-machine')).toMatchObject({ status: 'disabled', resources: [] });
  expect(await fixture.clientOf('five', 'five-web')).toMatchObject({ client_name: 'Web' });
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
    await expect(fixture.plan(file)).rejects.toMatchObject({ code: 'invalid', problems });
    await expect(fixture.apply(file)).rejects.toMatchObject({ code: 'invalid', problems });
    expect(await findTenantIdInDirectory(fixture.db, 'slug', 'missing')).toBeUndefined();
    expect(await findTenantIdInDirectory(fixture.db, 'client', 'unknown-shared')).toBeUndefined();
  });

  test('but finds roles and resources that an earlier file made', async () => {
    await fixture.apply(everything('earlier'));
    await fixture.apply({
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
    expect(await fixture.userOf('earlier', 'carol@earlier.test')).toMatchObject({ roles: ['admin'] });
  });
});
