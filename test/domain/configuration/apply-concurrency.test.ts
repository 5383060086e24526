import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { matchesClientSecret } from '#src/domain/clients/client-secrets.ts';
import { findTenantIdInDirectory } from '#src/domain/tenants/directory.ts';
import { eventually } from '#test/support/eventually.ts';
import { actions, everything, type Fixture, machine, makeFixture } from './fixture.ts';

let fixture: Fixture;
beforeAll(async () => {
  fixture = await makeFixture();
});
afterAll(() => fixture.close());

/** Until so many sessions wait for a lock of another. */
const untilWaiting = (count: number) =>
  eventually(async () => {
    const waiting = await fixture.asSuperuser(
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    return waiting.length >= count ? waiting : undefined;
  });

describe('a name that another tenant has [A-175]', () => {
  beforeAll(() => fixture.apply(everything('owner')));

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
    await expect(fixture.plan(file)).rejects.toMatchObject(refusal);
    await expect(fixture.apply(file)).rejects.toMatchObject(refusal);
    expect(await findTenantIdInDirectory(fixture.db, 'slug', 'taker')).toBeUndefined();
  });

  test('is refused alike when it was taken while the file was applied', async () => {
    const other = new pg.Client({ connectionString: fixture.urls.runtimeUrl });
    await other.connect();
    await other.query(
      `begin; select set_config('app.current_tenant_id', '${await fixture.tenantId('owner')}', true)`,
    );
    await other.query(
      `insert into clients (client_id, client_name, grant_types, token_endpoint_auth_method) values ('contested', 'x', '{}', 'none')`,
    );
    const applied = fixture.apply({ tenants: [{ slug: 'late', clients: [machine('contested')] }] });
    applied.catch(() => {});
    await untilWaiting(1);
    await other.query('commit');
    await other.end();
    await expect(applied).rejects.toMatchObject({
      code: 'conflict',
      problems: ['tenants[0].clients[0].client_id: contested is taken'],
    });
    expect(await findTenantIdInDirectory(fixture.db, 'slug', 'late')).toBeUndefined();
  });
});

test('run four times at the same fixture.now makes everything once', async () => {
  const runs = await Promise.all(Array.from({ length: 4 }, () => fixture.apply(everything('racing'))));
  expect(runs.flatMap(({ generated }) => generated)).toHaveLength(1);
  const created = runs.filter(({ changes }) =>
    changes.some(({ kind, action }) => kind === 'tenant' && action === 'create'),
  );
  expect(created).toHaveLength(1);
  expect(await fixture.asSuperuser(`select from tenants where slug = 'racing'`)).toHaveLength(1);
  expect((await fixture.clientOf('racing', 'racing-machine')).secrets).toHaveLength(1);
});

test('run four times at the same fixture.now gives a new client of an old tenant one secret', async () => {
  await fixture.apply({ tenants: [{ slug: 'joined' }] });
  const file = { tenants: [{ slug: 'joined', clients: [machine('joined-machine')] }] };
  const blocker = new pg.Client({ connectionString: fixture.urls.superUrl });
  await blocker.connect();
  await blocker.query('begin; lock table client_secrets in share row exclusive mode');
  const running = Promise.all(Array.from({ length: 4 }, () => fixture.apply(file)));
  // All four are under way, and none has ended.
  await untilWaiting(4);
  await blocker.query('commit');
  await blocker.end();
  const runs = await running;
  const generated = runs.flatMap(({ generated }) => generated);
  expect(generated).toHaveLength(1);
  const { secrets } = await fixture.clientOf('joined', 'joined-machine');
  expect(secrets).toHaveLength(1);
  expect(matchesClientSecret(generated[0]!.client_secret, secrets, fixture.now)).toBe(true);
});

test('stopped half-way leaves whole tenants, and completes when run again', async () => {
  const file = { tenants: [everything('half-a'), everything('half-b')].flatMap(({ tenants }) => tenants) };
  await fixture.apply({ resources: everything('x').resources });
  await fixture.asSuperuser(
    `create function fail() returns trigger language plpgsql as $$ begin raise exception 'stopped'; end $$`,
    'grant execute on function fail() to public',
    `create trigger fail before insert on clients for each row when (new.client_id = 'half-b-signed') execute function fail()`,
  );
  await expect(fixture.apply(file)).rejects.toThrow('stopped');
  await fixture.asSuperuser('drop trigger fail on clients', 'drop function fail()');
  expect(await findTenantIdInDirectory(fixture.db, 'slug', 'half-b')).toBeUndefined();

  const { changes } = await fixture.apply(file);
  expect(actions(changes.filter(({ tenant }) => tenant === 'half-a'))).toEqual(['unchanged']);
  expect(actions(changes.filter(({ tenant }) => tenant === 'half-b'))).toEqual(['create']);
});
