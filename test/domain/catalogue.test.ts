import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import pg from 'pg';
import { type Database, makeDatabase } from '#src/database/pool.ts';
import { withTenant } from '#src/database/tenant.ts';
import { type Catalogue, makeCatalogue } from '#src/domain/catalogue/catalogue.ts';
import { addClientSecret } from '#src/domain/clients/client-secrets.ts';
import { type ClientInput, putClient, setClientStatus } from '#src/domain/clients/clients.ts';
import { putResourceServer } from '#src/domain/resource-servers/resource-servers.ts';
import { createTenant, replaceTenantDomains, updateTenant } from '#src/domain/tenants/tenants.ts';
import { createTestDatabase, type TestDatabase } from '#test/support/postgres.ts';

const [acme, globex] = [randomUUID(), randomUUID()];
const api = 'https://api.example.test';
let database: TestDatabase;
let db: Database;
let catalogue: Catalogue;
let errors: unknown[];
let clock: ReturnType<typeof jest.spyOn>;

beforeEach(async () => {
  database = await createTestDatabase();
  db = makeDatabase({ url: database.runtimeUrl, max: 2 });
  errors = [];
  // What is cached is trusted for a time; on a busy machine a test may take longer than that.
  clock = jest.spyOn(performance, 'now').mockReturnValue(1_000_000);
  catalogue = makeCatalogue(db, { onError: (error) => errors.push(error) });
  for (const [tenant_id, slug] of [
    [acme, 'acme'],
    [globex, 'globex'],
  ] as const) {
    await withTenant(db, tenant_id, async (tx) => {
      await createTenant(tx, { slug, name: slug });
      await replaceTenantDomains(tx, [`${slug}.test`]);
      await putClient(tx, client(`${slug}-web`));
      await putResourceServer(tx, { identifier: api, name: `API of ${slug}`, scopes: [] });
    });
  }
  await catalogue.poll();
});
afterEach(async () => {
  catalogue.stop();
  jest.restoreAllMocks();
  await db.close();
  await database.drop();
});

const client = (client_id: string): ClientInput => ({
  client_id,
  client_name: 'Web',
  grant_types: ['authorization_code'],
  token_endpoint_auth_method: 'client_secret_basic',
});

const rename = (tenant_id: string, name: string) =>
  withTenant(db, tenant_id, (tx) => updateTenant(tx, { name }));

const nameOf = async (tenant_id: string) => (await catalogue.findTenant(tenant_id))?.name;

/** Changes a row as no trigger sees it, so that only the cache can still tell the old name. */
const renameUnseen = async (tenant_id: string, name: string) => {
  const url = new URL(database.superUrl);
  const hidden = new pg.Client({ connectionString: url.href });
  await hidden.connect();
  await hidden.query('set session_replication_role = replica');
  await hidden.query('update tenants set name = $1 where tenant_id = $2', [name, tenant_id]);
  await hidden.end();
};

describe('the cache', () => {
  test('serves what it knows until a poll sees the change, and then reads again', async () => {
    expect(await nameOf(acme)).toBe('acme');
    await rename(acme, 'Acme Inc');
    expect(await nameOf(acme)).toBe('acme');
    await catalogue.poll();
    expect(await nameOf(acme)).toBe('Acme Inc');
  });

  test.each<[string, (tenant_id: string) => Promise<unknown>, () => Promise<unknown>]>([
    [
      'a disabled client',
      (id) => withTenant(db, id, (tx) => setClientStatus(tx, 'acme-web', 'disabled')),
      async () => (await catalogue.findClient('acme-web'))?.status,
    ],
    [
      'a new secret',
      (id) => withTenant(db, id, (tx) => addClientSecret(tx, 'acme-web', { secret: 'new' })),
      async () => (await catalogue.findClient('acme-web'))?.secrets.length,
    ],
    [
      'a client that is gone',
      (id) =>
        withTenant(db, id, (tx) => tx.deleteFrom('clients').where('client_id', '=', 'acme-web').execute()),
      async () => (await catalogue.findClient('acme-web'))?.client_id,
    ],
    [
      'another slug',
      (id) => withTenant(db, id, (tx) => tx.updateTable('tenants').set({ slug: 'acme-2' }).execute()),
      async () => (await catalogue.findTenantByName('acme'))?.slug,
    ],
    [
      'a domain that is gone',
      (id) => withTenant(db, id, (tx) => replaceTenantDomains(tx, [])),
      async () => (await catalogue.findTenantByDomain('acme.test'))?.slug,
    ],
    [
      'a resource server',
      (id) =>
        withTenant(db, id, (tx) => putResourceServer(tx, { identifier: api, name: 'API', scopes: ['read'] })),
      async () => (await catalogue.findResourceServer(acme, api))?.scopes,
    ],
    [
      'a tenant that is gone',
      (id) => withTenant(db, id, (tx) => tx.deleteFrom('tenants').execute()),
      async () => (await catalogue.findTenantByName(acme))?.slug,
    ],
  ])('sees %s', async (_, change, read) => {
    const before = await read();
    expect(before).toBeDefined();
    await change(acme);
    expect(await read()).toEqual(before);
    await catalogue.poll();
    expect(await read()).not.toEqual(before);
  });

  test('sees a name that was nobody’s at once: what is not there is never cached', async () => {
    expect(await catalogue.findClient('acme-new')).toBeUndefined();
    await withTenant(db, acme, (tx) => putClient(tx, client('acme-new')));
    expect(await catalogue.findClient('acme-new')).toMatchObject({ tenant_id: acme });
  });

  test('keeps tenants apart: the same identifier is another thing in each, and a change drops one of them [A-183]', async () => {
    const names = async () => [
      (await catalogue.findResourceServer(acme, api))?.name,
      (await catalogue.findResourceServer(globex, api))?.name,
      await nameOf(acme),
      await nameOf(globex),
    ];
    expect(await names()).toEqual(['API of acme', 'API of globex', 'acme', 'globex']);
    await renameUnseen(acme, 'hidden');
    await renameUnseen(globex, 'hidden');
    const put = { identifier: api, name: 'changed', scopes: [] };
    await withTenant(db, acme, (tx) => putResourceServer(tx, put));
    await catalogue.poll();
    expect(await names()).toEqual(['changed', 'API of globex', 'hidden', 'globex']);
  });

  test('finds a tenant by slug and by id, and a name of another kind never', async () => {
    expect((await catalogue.findTenantByName('acme'))?.tenant_id).toBe(acme);
    expect((await catalogue.findTenantByName(globex))?.tenant_id).toBe(globex);
    expect(await catalogue.findTenantByName('acme.test')).toBeUndefined();
    expect(await catalogue.findTenantByDomain('acme')).toBeUndefined();
    expect(await catalogue.findClient('acme')).toBeUndefined();
    expect(await catalogue.findTenantByName(randomUUID())).toBeUndefined();
  });

  test('does not keep a failure', async () => {
    const connect = jest.spyOn(db.aux, 'connect').mockImplementation(() => Promise.reject(new Error('away')));
    await expect(catalogue.findTenant(acme)).rejects.toThrow('away');
    connect.mockRestore();
    expect(await nameOf(acme)).toBe('acme');
  });
});

describe('a poll', () => {
  test('does not miss a commit that came after changes of younger transactions were seen', async () => {
    await nameOf(acme);
    const slow = new pg.Client({ connectionString: database.superUrl });
    await slow.connect();
    await slow.query('begin');
    await slow.query("update tenants set name = 'slow' where tenant_id = $1", [acme]);
    const stillOld: unknown[] = [];
    for (const name of ['one', 'two', 'three']) {
      await rename(globex, name);
      await catalogue.poll();
      stillOld.push(await nameOf(acme));
      expect(await nameOf(globex)).toBe(name);
    }
    expect(stillOld).toEqual(['acme', 'acme', 'acme']);
    await slow.query('commit');
    await slow.end();
    await catalogue.poll();
    expect(await nameOf(acme)).toBe('slow');
  });

  test('reports each change once, also while an old transaction is open', async () => {
    const reported: string[][] = [];
    catalogue.onChange((tenant_ids) => reported.push([...tenant_ids]));
    const old = new pg.Client({ connectionString: database.superUrl });
    await old.connect();
    await old.query('begin; select pg_current_xact_id()');
    await rename(acme, 'one');
    await catalogue.poll();
    await catalogue.poll();
    await rename(acme, 'two');
    await rename(globex, 'two');
    await catalogue.poll();
    await old.end();
    await catalogue.poll();
    expect(reported.map((ids) => ids.sort())).toEqual([[acme], [acme, globex].sort()]);
  });

  test('drops a tenant that was read while the change was on its way', async () => {
    await rename(acme, 'one');
    const reading = catalogue.findTenant(acme);
    await rename(acme, 'two');
    await catalogue.poll();
    await reading;
    expect(await nameOf(acme)).toBe('two');
  });

  test('forgets a domain whose answer was under way when it moved to another tenant', async () => {
    const { release, slowly } = delayAnswers(db.aux);
    const reading = slowly(() => catalogue.findTenantByDomain('acme.test'));
    await withTenant(db, acme, (tx) => replaceTenantDomains(tx, []));
    await withTenant(db, globex, (tx) => replaceTenantDomains(tx, ['acme.test']));
    await catalogue.poll();
    release();
    await reading;
    expect((await catalogue.findTenantByDomain('acme.test'))?.slug).toBe('globex');
  });

  test('of the first time drops what was read before it', async () => {
    const early = makeCatalogue(db, { onError: (error) => errors.push(error) });
    expect((await early.findTenant(acme))?.name).toBe('acme');
    await rename(acme, 'later');
    expect((await early.findTenant(acme))?.name).toBe('later');
    await rename(acme, 'latest');
    await early.poll();
    expect((await early.findTenant(acme))?.name).toBe('latest');
  });
});

describe('when polls fail', () => {
  test('nothing cached is believed any more after two seconds, until a poll works again', async () => {
    await catalogue.findTenantByName('acme');
    clock.mockReturnValue(1_001_900);
    await renameUnseen(acme, 'hidden');
    expect((await catalogue.findTenantByName('acme'))?.name).toBe('acme');
    clock.mockReturnValue(1_002_100);
    expect((await catalogue.findTenantByName('acme'))?.name).toBe('hidden');
    await renameUnseen(acme, 'hidden again');
    expect((await catalogue.findTenantByName('acme'))?.name).toBe('hidden again');
    await catalogue.poll();
    await renameUnseen(acme, 'hidden for good');
    expect((await catalogue.findTenantByName('acme'))?.name).toBe('hidden again');
  });

  test('what changed meanwhile is not lost', async () => {
    expect(await nameOf(acme)).toBe('acme');
    const connect = jest.spyOn(db.aux, 'connect').mockImplementation(() => Promise.reject(new Error('away')));
    await expect(catalogue.poll()).rejects.toThrow('away');
    connect.mockRestore();
    await rename(acme, 'meanwhile');
    await catalogue.poll();
    expect(await nameOf(acme)).toBe('meanwhile');
  });
});

describe('start', () => {
  test('polls by itself, reports failures and goes on', async () => {
    await catalogue.start();
    const failed = jest
      .spyOn(db.aux, 'connect')
      .mockImplementationOnce(() => Promise.reject(new Error('away')));
    const changed = new Promise<ReadonlySet<string>>((resolve) => catalogue.onChange(resolve));
    await rename(acme, 'Acme Inc');
    expect([...(await changed)]).toEqual([acme]);
    expect(await nameOf(acme)).toBe('Acme Inc');
    expect(failed).toHaveBeenCalled();
    expect(errors).toEqual([new Error('away')]);
  });

  test('fails where the changes cannot be read at all', async () => {
    jest.spyOn(db.aux, 'connect').mockImplementation(() => Promise.reject(new Error('away')));
    await expect(catalogue.start()).rejects.toThrow('away');
  });
});

/** Holds back what the pool's connections answer to calls made inside `slowly`, until `release`. */
function delayAnswers(pool: pg.Pool) {
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const connect = pool.connect.bind(pool) as () => Promise<pg.PoolClient>;
  const slowly = async <T>(work: () => Promise<T>): Promise<T> => {
    const spy = jest.spyOn(pool, 'connect').mockImplementationOnce((async () => {
      const real = await connect();
      return new Proxy(real, {
        get: (target, name) =>
          name === 'query'
            ? async (...args: [string]) => {
                const answer = await target.query(...args);
                await gate;
                return answer;
              }
            : Reflect.get(target, name),
      });
    }) as never);
    const working = work();
    spy.mockRestore();
    return working;
  };
  return { release, slowly };
}
