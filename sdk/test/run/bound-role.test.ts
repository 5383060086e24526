import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type pg from 'pg';
import { withTenant } from '../../src/pg.ts';
import { makePool, type Subject, subjects } from './subjects.ts';
import { createTenantDatabase, makeToken } from './tenant-database.ts';

let database: Awaited<ReturnType<typeof createTenantDatabase>>;

beforeAll(async () => {
  database = await createTenantDatabase();
});
afterAll(async () => {
  await database?.drop();
});

describe.each(Object.keys(subjects))('%s refuses to run [P-01]', (name) => {
  async function refusal(url: string, options?: { role?: string }): Promise<Record<string, unknown>> {
    const subject: Subject = subjects[name]!(url, 1);
    let ran = false;
    try {
      const error = await subject
        .withTenant(
          makeToken(),
          async () => {
            ran = true;
          },
          options,
        )
        .catch((thrown) => thrown);
      expect(ran).toBe(false);
      return error;
    } finally {
      await subject.close();
    }
  }

  test('as a superuser', async () => {
    expect(await refusal(database.superUrl)).toMatchObject({
      name: 'UnboundRoleError',
      code: 'unbound_role',
      role: 'postgres',
      message: expect.stringContaining('alter role "postgres" nosuperuser'),
    });
  });

  test('as a role with BYPASSRLS', async () => {
    const login = await database.login('bypassrls');
    const { message } = await refusal(login.url);
    expect(message).toContain(`alter role "${login.name}" nobypassrls`);
  });

  test('as the owner of a table with policies, forced or not [P-02]', async () => {
    const login = await database.login('');
    await database.all(`grant usage, create on schema orders to ${login.name}`);
    await database.all(`create table orders.own_${login.name} (tenant_id uuid);
      alter table orders.own_${login.name} owner to ${login.name};
      alter table orders.own_${login.name} enable row level security`);
    const { message } = await refusal(login.url);
    expect(message).toContain(`owns orders.own_${login.name}`);
  });

  test('as a member of such a role, directly or not, with INHERIT or without', async () => {
    const login = await database.login('noinherit', database.owner);
    expect((await refusal(login.url))['message']).toContain(
      `revoke "${database.owner}" from "${login.name}"`,
    );
    const far = await database.login('inherit', login.name);
    expect((await refusal(far.url))['message']).toContain(`it may become "${database.owner}"`);
  });

  test('as a role that is given and is not bound, or behind a login that is not', async () => {
    const bypass = await database.login('bypassrls');
    const login = await database.login('noinherit');
    expect(await refusal(login.url, { role: bypass.name })).toMatchObject({ role: bypass.name });
    expect(await refusal(database.superUrl, { role: database.reader })).toMatchObject({ role: 'postgres' });
  });
});

describe('the role is asked', () => {
  /** The statements that reach the server, by way of a real pool. */
  function counting(pool: pg.Pool): () => number {
    let checks = 0;
    pool.on('connect', (client) => {
      const query = client.query.bind(client) as (...parts: unknown[]) => unknown;
      client.query = ((...parts: unknown[]) => {
        if (String(parts[0]).includes('pg_has_role')) checks += 1;
        return query(...parts);
      }) as typeof client.query;
    });
    return () => checks;
  }

  test('once for a pool and a role, however many begin at once', async () => {
    const pool = makePool(database.url, 3);
    const checks = counting(pool);
    await Promise.all(Array.from({ length: 6 }, () => withTenant(pool, makeToken(), async () => {})));
    expect(checks()).toBe(1);
    await withTenant(pool, makeToken(), async () => {}, { role: database.reader });
    await withTenant(pool, makeToken(), async () => {}, { role: database.reader });
    expect(checks()).toBe(2);
    await pool.end();
  });

  test('again, once it has been mended', async () => {
    const login = await database.login('bypassrls');
    const pool = makePool(login.url, 1);
    const run = () => withTenant(pool, makeToken(), async () => 'ran');
    await expect(run()).rejects.toMatchObject({ code: 'unbound_role' });
    await database.all(`alter role ${login.name} nobypassrls`);
    expect(await run()).toBe('ran');
    await pool.end();
  });

  test('again, once the server that was away is back', async () => {
    const login = await database.login('');
    await database.all(`alter role ${login.name} nologin`);
    const pool = makePool(login.url, 1);
    const run = () => withTenant(pool, makeToken(), async () => 'ran');
    await expect(run()).rejects.toMatchObject({ code: 'database_unavailable', committed: 'no' });
    await database.all(`alter role ${login.name} login`);
    expect(await run()).toBe('ran');
    await pool.end();
  });
});
