import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { createFixture, type Fixture } from '#test/support/fixture.ts';
import { runStatements } from '#test/support/postgres.ts';

let fixture: Fixture;
let runtime: pg.Client;
let acme: string;
let globex: string;

const bytes = (text: string) => `convert_to('${text}', 'UTF8')`;

beforeAll(async () => {
  fixture = await createFixture();
  acme = fixture.acme.tenant_id;
  globex = fixture.globex.tenant_id;
  runtime = new pg.Client({ connectionString: fixture.urls.runtimeUrl });
  await runtime.connect();
  const row = (
    tenant_id: string,
    key: string,
    { grant = 'null', session = 'null', user = 'null', seconds = 60 } = {},
  ) => `('${tenant_id}', ${bytes(key)}, 'Test', ${grant}, ${session}, ${user}, '',
    now() + ${seconds} * interval '1 s')`;
  const rows = [acme, globex].flatMap((tenant_id) => {
    const name = tenant_id === acme ? 'acme' : 'globex';
    const other = tenant_id === acme ? 'globex' : 'acme';
    const links = { session: bytes(`${name} uid`), user: `'${fixture[name].users.bob}'` };
    return [
      row(tenant_id, `${name} token`, { ...links, grant: bytes(`${name} grant`) }),
      row(tenant_id, `${name} grant`),
      row(tenant_id, `${name} forged`, {
        grant: bytes(`${other} grant`),
        session: bytes(`${other} uid`),
        user: `'${fixture[other].users.bob}'`,
      }),
      row(tenant_id, `${name} ended`, { seconds: -1 }),
      row(tenant_id, `${name} left`, { grant: bytes(`${name} ended`) }),
      row(tenant_id, `${name} of idle`, { session: bytes(`${name} uid idle`) }),
      row(tenant_id, `${name} of over`, { session: bytes(`${name} uid over`) }),
    ];
  });
  await runStatements(fixture.urls.superUrl, [
    `insert into protocol_store
      (tenant_id, key, model, grant_key, session_key, user_id, sealed_payload, expires_at)
    values ${rows.join(', ')}`,
    ...[acme, globex].map((tenant_id) => {
      const name = tenant_id === acme ? 'acme' : 'globex';
      const session = (kind: string, idle: number, absolute: number) =>
        `('${tenant_id}', ${bytes(`${name} uid${kind}`)}, ${bytes(`${name} session${kind}`)},
          '${fixture[name].users.bob}', '', now() + ${idle} * interval '1 s', now() + ${absolute} * interval '1 s')`;
      return `insert into sessions (tenant_id, uid_key, key, user_id, sealed_payload, expires_at, ends_at)
        values ${session('', 60, 120)}, ${session(' idle', -1, 60)}, ${session(' over', 60, -1)}`;
    }),
  ]);
});
afterAll(async () => {
  await runtime?.end();
  await fixture?.drop();
});

/** The keys of what comes, and the user with it. */
async function present(key: string, tenant: string | null, use_up = false) {
  const { rows } = await runtime.query(
    `select convert_from(key, 'UTF8') as key, account from present_protocol_row(${bytes(key)}, $1, $2)`,
    [tenant, use_up],
  );
  return { keys: rows.map((row) => row.key), account: rows[0]?.account };
}

describe.each([
  ['without a tenant', () => null],
  ['under its tenant', () => acme],
])('%s', (_, tenant) => {
  test.each([false, true])('shows a row with its grant, session and user (use_up %s)', async (use_up) => {
    const { keys, account } = await present('acme token', tenant(), use_up);
    expect(keys).toEqual(['acme token', 'acme grant', 'acme session']);
    expect(account).toMatchObject({
      id: fixture.acme.users.bob,
      email: 'bob@example.test',
      status: 'active',
      roles: ['admin'],
    });
    expect(account).not.toHaveProperty('password_hash');
  });

  test('shows nothing of what another tenant’s keys name, though the row points there [decision 6]', async () => {
    expect(await present('acme forged', tenant())).toEqual({ keys: ['acme forged'], account: null });
  });

  test('shows nothing that has ended', async () => {
    expect((await present('acme ended', tenant())).keys).toEqual([]);
    for (const kind of ['left', 'of idle', 'of over']) {
      expect((await present(`acme ${kind}`, tenant())).keys).toEqual([`acme ${kind}`]);
    }
  });
});

test('shows no row of another tenant, whatever key is presented [A-170]', async () => {
  for (const use_up of [false, true]) {
    expect((await present('globex token', acme, use_up)).keys).toEqual([]);
  }
});

test('leaves no tenant and no key behind on the connection [A-170]', async () => {
  await present('acme token', null);
  const { rows } = await runtime.query(
    `select current_setting('app.current_tenant_id', true) as tenant, current_setting('app.presented_key', true) as key`,
  );
  expect(rows).toEqual([{ tenant: '', key: '' }]);
});

test('does not read the dead versions of a session again and again', async () => {
  const versions = 300;
  await runStatements(fixture.urls.superUrl, [
    'alter table protocol_store set (autovacuum_enabled = off)',
    'alter table sessions set (autovacuum_enabled = off)',
    `insert into protocol_store (tenant_id, key, model, sealed_payload, expires_at)
    select '${globex}', sha256(n::text::bytea), 'Test', convert_to(repeat(n::text, 200), 'UTF8'), now() + interval '1 h'
    from generate_series(1000, 1200) as n`,
    // Its last end is indexed, so that each change leaves an entry behind in every index.
    ...Array.from(
      { length: versions },
      () => `update sessions set ends_at = ends_at + interval '1 s' where key = ${bytes('globex session')}`,
    ),
  ]);
  const readPages = async () => {
    const { rows } = await runtime.query(
      `explain (analyze, buffers, format json)
      select * from present_protocol_row(${bytes('globex token')}, '${globex}', false)`,
    );
    const plan = rows[0]['QUERY PLAN'][0].Plan;
    return plan['Shared Hit Blocks'] + plan['Shared Read Blocks'];
  };
  await runtime.query('discard plans');
  const pages: number[] = [];
  for (let times = 0; times < 8; times++) {
    pages.push(await readPages());
  }
  expect(pages.at(-1)).toBeLessThan(30);
});
