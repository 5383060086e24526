import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import pg from 'pg';
import { type Database, makeDatabase } from '#src/database/pool.ts';
import { makePurgeExpired } from '#src/jobs/purge-expired.ts';
import { createTestDatabase, runStatements, type TestDatabase } from '#test/support/postgres.ts';

const [acme, globex] = [randomUUID(), randomUUID()];
let database: TestDatabase;
let nodes: Database[];

beforeEach(async () => {
  database = await createTestDatabase();
  nodes = [1, 2].map(() => makeDatabase({ url: database.runtimeUrl }));
  await asSuperuser(
    `insert into tenants (tenant_id, slug, name) values ('${acme}', 'acme', 'Acme'), ('${globex}', 'globex', 'Globex')`,
  );
});
afterEach(async () => {
  await Promise.all(nodes.map((db) => db.close()));
  await database.drop();
});

const asSuperuser = (...statements: string[]) => runStatements(database.superUrl, statements);

/** Rows of the protocol store, named by their model, that expire so long from now. */
const addRows = (tenant_id: string, model: string, expires: string, count = 1) =>
  asSuperuser(
    `insert into protocol_store (tenant_id, key, model, sealed_payload, expires_at)
    select '${tenant_id}', sha256(('${model}' || n)::bytea), '${model}', '', now() + '${expires}'
    from generate_series(1, ${count}) as n`,
  );

const countRows = () =>
  asSuperuser('select tenant_id, model, count(*)::int from protocol_store group by 1, 2 order by 2');

test('removes what has expired in all tenants, and nothing else [A-181]', async () => {
  for (const tenant_id of [acme, globex]) {
    const name = tenant_id === acme ? 'acme' : 'globex';
    await addRows(tenant_id, `${name} expired`, '-1 second', 3);
    await addRows(tenant_id, `${name} of long ago`, '-30 days', 2);
    await addRows(tenant_id, `${name} valid`, '1 minute', 4);
  }
  await makePurgeExpired()({ db: nodes[0]! });
  expect(await countRows()).toEqual([
    { tenant_id: acme, model: 'acme valid', count: 4 },
    { tenant_id: globex, model: 'globex valid', count: 4 },
  ]);
});

test('removes sessions that are past their absolute end, and leaves those that are only idle to it [A-181]', async () => {
  await asSuperuser(
    ...[acme, globex].map(
      (tenant_id) => `insert into sessions (tenant_id, uid_key, key, sealed_payload, expires_at, ends_at)
      select '${tenant_id}', sha256(kind::bytea), sha256(kind::bytea), kind::bytea, now() + idle, now() + absolute
      from (values ('over', interval '-1 h', interval '-1 s'), ('idle', '-1 s', '1 h'), ('alive', '1 m', '1 h'))
        as sessions (kind, idle, absolute)`,
    ),
  );
  await Promise.all(nodes.map((db) => makePurgeExpired()({ db })));
  const left = await asSuperuser(
    `select tenant_id, convert_from(sealed_payload, 'UTF8') as kind from sessions order by tenant_id, kind`,
  );
  expect(left).toEqual(
    [acme, globex].sort().flatMap((tenant_id) => ['alive', 'idle'].map((kind) => ({ tenant_id, kind }))),
  );
});

test('removes client secrets that have expired, and keeps those that end later or never', async () => {
  await asSuperuser(
    ...[acme, globex].flatMap((tenant_id) => [
      `insert into clients (tenant_id, client_id, client_name, grant_types, token_endpoint_auth_method)
      values ('${tenant_id}', 'web-of-${tenant_id}', 'Web', '{}', 'client_secret_basic')`,
      `insert into client_secrets (tenant_id, client_id, secret_hash, expires_at)
      select '${tenant_id}', 'web-of-${tenant_id}', sha256(n::text::bytea), now() + life
      from (values (1, interval '-1 second'), (2, '1 minute'), (3, null)) as secrets (n, life)`,
    ]),
  );
  await makePurgeExpired()({ db: nodes[0]! });
  const left = await asSuperuser(
    'select tenant_id, expires_at > now() as valid from client_secrets order by tenant_id, valid',
  );
  expect(left).toEqual(
    [acme, globex].sort().flatMap((tenant_id) => [
      { tenant_id, valid: true },
      { tenant_id, valid: null },
    ]),
  );
});

test('goes on over many batches, and two nodes at once neither block nor fail one another [A-181]', async () => {
  await addRows(acme, 'acme expired', '-1 second', 5_200);
  await addRows(globex, 'globex expired', '-1 second', 2_000);
  await addRows(globex, 'globex valid', '1 minute', 10);
  await Promise.all(nodes.map((db) => makePurgeExpired()({ db })));
  expect(await countRows()).toEqual([{ tenant_id: globex, model: 'globex valid', count: 10 }]);
});

test('passes by a row that a request holds, and takes it the next time', async () => {
  await addRows(acme, 'held', '-1 second');
  await addRows(acme, 'free', '-1 second');
  const request = new pg.Client({ connectionString: database.superUrl });
  await request.connect();
  await request.query("begin; select from protocol_store where model = 'held' for update");
  const purge = makePurgeExpired();
  await purge({ db: nodes[0]! });
  expect(await countRows()).toEqual([{ tenant_id: acme, model: 'held', count: 1 }]);
  await request.end();
  await purge({ db: nodes[0]! });
  expect(await countRows()).toEqual([]);
});

test('visits every tenant over several runs, however many there are', async () => {
  await asSuperuser(
    `insert into tenants (tenant_id, slug, name)
    select gen_random_uuid(), 'tenant-' || n, 'Tenant' from generate_series(1, 450) as n`,
    `insert into protocol_store (tenant_id, key, model, sealed_payload, expires_at)
    select tenant_id, sha256(slug::bytea), 'expired', '', now() - interval '1 second' from tenants`,
  );
  const purge = makePurgeExpired();
  const left: unknown[] = [];
  for (const _ of [1, 2, 3]) {
    await purge({ db: nodes[0]! });
    left.push((await asSuperuser('select count(*)::int from protocol_store'))[0]!['count']);
  }
  expect(left).toEqual([253, 53, 0]);
  await addRows(acme, 'expired again', '-1 second');
  await addRows(globex, 'expired again', '-1 second');
  for (const _ of [1, 2, 3]) {
    await purge({ db: nodes[0]! });
  }
  expect(await countRows()).toEqual([]);
});

test('holds no connection of the pool that serves requests', async () => {
  const small = makeDatabase({ url: database.runtimeUrl, max: 1 });
  await addRows(acme, 'expired', '-1 second');
  const busy = await small.pool.connect();
  await makePurgeExpired()({ db: small });
  busy.release();
  expect(await countRows()).toEqual([]);
  await small.close();
});
