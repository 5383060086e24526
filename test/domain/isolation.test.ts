import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { type TenantTx, withTenant } from '#src/database/tenant.ts';
import { type ClientInput, putClient } from '#src/domain/clients/clients.ts';
import { rememberDevice } from '#src/domain/credentials/known-devices.ts';
import { makePasswordHashing } from '#src/domain/credentials/password-hashing.ts';
import { verifyUserPassword } from '#src/domain/credentials/verify-user-password.ts';
import { ensureServerSecrets } from '#src/domain/keys/server-secrets.ts';
import { ensureSigningKeys } from '#src/domain/keys/signing-keys.ts';
import { queueMail } from '#src/domain/mail/mails.ts';
import type { MailInput } from '#src/domain/mail/messages.ts';
import { putResourceServer } from '#src/domain/resource-servers/resource-servers.ts';
import { createTenant, replaceTenantDomains } from '#src/domain/tenants/tenants.ts';
import { changeUserStatus, userStatuses } from '#src/domain/users/life-cycle.ts';
import { putRole } from '#src/domain/users/roles.ts';
import { findUser, findUserByEmail, putUser } from '#src/domain/users/users.ts';
import { makeHashingQueue } from '#src/lib/hashing-queue.ts';
import { makeMasterKeyText, parseMasterKeys } from '#src/lib/master-key.ts';
import { addSessions, sessionCalls } from '#test/domain/sessions/isolation-fixture.ts';
import { createFixture, type Fixture, password, redirect_uri } from '#test/support/fixture.ts';
import { type Call, credentialCalls, type OfB } from './isolation-calls.ts';

const masterKeys = (() => {
  const parsed = parseMasterKeys(makeMasterKeyText('test'));
  if (!parsed.ok) {
    throw new Error(parsed.problems.join());
  }
  return parsed.keys;
})();

const clientOf = (client_id: string): ClientInput => ({
  client_id,
  client_name: 'Of A',
  grant_types: ['authorization_code'],
  token_endpoint_auth_method: 'none',
  redirect_uris: [redirect_uri],
});

const [conflict, noSuchRow, notShared] = ['23505', '23503', '23514'];
const mailTo = (to: string, user_id: string): MailInput => ({
  ...{ to, user_id, kind: 'password_changed' },
  data: { at: '2026-11-24T08:45:12.345Z', ip: '203.0.113.7', device: 'Firefox' },
});

const sealing = { masterKeys, jobQueue: { send: async () => {} } };

/** How A calls each function of the domain with what it holds of B. A function without an entry fails the test. */
const calls: Record<string, (b: OfB) => Call[]> = {
  'clients/built-in-clients.ts ensureBuiltInClients': () => [
    { args: ['https://of-a.test'], refused: notShared },
  ],
  'clients/client-secrets.ts addClientSecret': ({ client_id }) => [
    { args: [client_id, { secret: 'of A' }], refused: noSuchRow },
    { args: [client_id, { secret: 'of A', retire_at: new Date(0) }], refused: noSuchRow },
  ],
  'clients/clients.ts findClientWithSecrets': ({ client_id }) => [{ args: [client_id], gives: undefined }],
  'clients/clients.ts listClientSecrets': ({ client_id }) => [{ args: [client_id], gives: [] }],
  'clients/clients.ts listClients': () => [{ args: [] }],
  'clients/clients.ts putClient': ({ client_id }) => [{ args: [clientOf(client_id)], refused: conflict }],
  'clients/clients.ts setClientStatus': ({ client_id }) => [{ args: [client_id, 'disabled'], gives: false }],
  'configuration/state.ts lockUsers': ({ email }) => [{ args: [[email]], gives: undefined }],
  'configuration/state.ts readTenantState': ({ email }) => [{ args: [] }, { args: [[email]] }],
  ...credentialCalls,
  'keys/server-secrets.ts ensureServerSecrets': () => [{ args: [masterKeys] }],
  'keys/server-secrets.ts lockKeys': () => [{ args: [], gives: undefined }],
  'keys/signing-keys.ts ensureSigningKeys': () => [{ args: [masterKeys, new Date()], gives: undefined }],
  'keys/signing-keys.ts maintainSigningKeys': () => [{ args: [masterKeys, new Date()], gives: undefined }],
  'keys/signing-keys.ts readSigningKeys': () => [{ args: [masterKeys, new Date()] }],
  'keys/signing-keys.ts rotateSigningKeys': () => [
    { args: [masterKeys, { now: new Date(), at_once: true, algs: ['ES256'] }] },
  ],
  'mail/mails.ts noteMailFailure': ({ mail_id }) => [{ args: [mail_id, 'of A'], gives: undefined }],
  'mail/mails.ts queueMail': ({ user_id, email }) => [
    {
      args: [mailTo(email, user_id), sealing],
      refused: noSuchRow,
    },
  ],
  'mail/mails.ts removeMail': ({ mail_id }) => [{ args: [mail_id], gives: undefined }],
  'mail/mails.ts takeMail': ({ mail_id }) => [{ args: [mail_id, masterKeys], gives: undefined }],
  'resource-servers/resource-servers.ts listResourceServers': () => [{ args: [] }],
  'resource-servers/resource-servers.ts putResourceServer': ({ identifier }) => [
    { args: [{ identifier, name: 'Of A', scopes: [] }], gives: undefined },
  ],
  ...sessionCalls,
  'tenants/tenants.ts createTenant': ({ slug }) => [
    { args: [{ slug, name: 'Of A' }], refused: conflict },
    { args: [{ slug: 'new', name: 'Of A' }], refused: conflict },
  ],
  'tenants/tenants.ts findTenant': () => [{ args: [], gives: expect.objectContaining({ slug: 'acme' }) }],
  'tenants/tenants.ts listTenantDomains': () => [{ args: [], gives: ['acme.test'] }],
  'tenants/tenants.ts replaceTenantDomains': ({ domain }) => [
    { args: [['acme.test', domain]], refused: conflict },
    { args: [[domain]], refused: conflict },
  ],
  'tenants/tenants.ts updateTenant': () => [{ args: [{ name: 'Acme' }], gives: true }],
  'users/erase.ts emptyUser': ({ user_id }) => [{ args: [user_id], gives: undefined }],
  'users/erase.ts sweepErasedUsers': () => [{ args: [], gives: undefined }],
  'users/life-cycle.ts changeUserStatus': ({ user_id }) =>
    userStatuses.map((status) => ({ args: [user_id, status], gives: { ok: false, reason: 'not_found' } })),
  'users/life-cycle.ts eraseUser': ({ user_id }) => [
    { args: [user_id], gives: { ok: false, reason: 'not_found' } },
  ],
  'users/import/write-users.ts writeUsers': ({ other_role }) => [
    { args: [[{ email: 'alice@example.test', roles: [other_role] }]], refused: noSuchRow },
    { args: [[{ email: 'alice@example.test', name: 'Of A', status: 'disabled', roles: ['admin'] }]] },
  ],
  'users/roles.ts listRoles': () => [{ args: [] }],
  'users/roles.ts putRole': ({ role }) => [{ args: [{ name: role, permissions: [] }], gives: undefined }],
  'users/users.ts findUser': ({ user_id }) => [{ args: [user_id], gives: undefined }],
  'users/users.ts findUserByEmail': ({ email }) => [{ args: [email], gives: undefined }],
  'users/users.ts mendCompromisedUser': ({ user_id, password_hash }) => [
    { args: [user_id, { from: password_hash, to: 'Of A' }], gives: undefined },
  ],
  'users/users.ts replacePasswordHash': ({ user_id, password_hash }) => [
    { args: [user_id, { from: password_hash, to: 'Of A' }], gives: false },
  ],
  'users/users.ts putUser': ({ other_role }) => [
    {
      args: [{ email: 'alice@example.test', email_verified: true, name: 'Of A', roles: [other_role] }],
      refused: noSuchRow,
    },
    { args: [{ email: 'alice@example.test', email_verified: true, name: 'Of A', roles: [] }] },
  ],
};

const folder = new URL('../../src/domain/', import.meta.url);
const signature =
  /^export (?:async )?(?:function (\w+)(?:<[^(]*>)?\(\s*tx: TenantTx|const (\w+) = (?:async )?\(\s*tx: TenantTx)/gm;

/** Every exported function of the domain that takes a tenant's transaction. */
const found = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .flatMap((file) =>
    [...readFileSync(new URL(file, folder), 'utf8').matchAll(signature)].map(
      ([, declared, assigned]) => `${file} ${declared ?? assigned}`,
    ),
  )
  .sort();

let fixture: Fixture;
let superuser: pg.Client;
let b: OfB;
/** All that a row of B says and no row of A or of the platform says. */
let marks: string[];

beforeAll(async () => {
  fixture = await createFixture();
  superuser = new pg.Client({ connectionString: fixture.urls.superUrl });
  await superuser.connect();
  b = {
    tenant_id: fixture.globex.tenant_id,
    slug: 'globex',
    domain: 'globex.test',
    user_id: fixture.globex.users.bob,
    password_hash: (await withTenant(fixture.db, fixture.globex.tenant_id, (tx) =>
      findUserByEmail(tx, 'bob@example.test'),
    ))!.password_hash!,
    email: 'only@globex.test',
    role: 'of-b',
    other_role: 'of-b-alone',
    mail_id: '',
    client_id: 'globex-web',
    identifier: 'https://globex.test/api',
    ...(await withTenant(fixture.db, fixture.globex.tenant_id, async (tx) => {
      const device_secret = await rememberDevice(tx, fixture.globex.users.bob, { known: [] }, new Date());
      const [device] = await tx.selectFrom('known_devices').select('id').execute();
      return { device_secret, device_id: device!.id };
    })),
    own_user_id: fixture.acme.users.bob,
  };
  // One after the other: both make keys under one lock, whose wait is short.
  for (const tenant of ['acme', 'globex'] as const) {
    await withTenant(fixture.db, fixture[tenant].tenant_id, async (tx) => {
      await ensureServerSecrets(tx, masterKeys);
      await ensureSigningKeys(tx, masterKeys, new Date());
    });
  }
  await withTenant(fixture.db, b.tenant_id, async (tx) => {
    await queueMail(tx, mailTo(b.email, b.user_id), sealing);
    b.mail_id = (await tx.selectFrom('mails').select('id').executeTakeFirstOrThrow()).id;
    await putRole(tx, { name: b.role, permissions: ['everything of B'] });
    await putRole(tx, { name: b.other_role, permissions: [] });
    await putUser(tx, {
      email: b.email,
      email_verified: true,
      name: 'Only in B',
      roles: [b.role],
      password_hash: b.password_hash,
    });
    await changeUserStatus(tx, b.user_id, 'compromised');
    await putResourceServer(tx, { identifier: b.identifier, name: 'API of B', scopes: ['scope-of-b'] });
    await tx
      .updateTable('signing_keys')
      .set({ retired_at: new Date(0) })
      .where('alg', '=', 'EdDSA')
      .execute();
  });
  await addSessions(fixture);
  const ofB = await textsOf('=');
  const ofOthers = new Set(await textsOf('<>'));
  marks = ofB.filter((text) => text.length > 3 && !ofOthers.has(text));
});
afterAll(async () => {
  await superuser?.end();
  await fixture?.drop();
});

async function tenantTables(): Promise<string[]> {
  const { rows } = await superuser.query(
    `select relname::text as name from pg_class join pg_attribute on attrelid = pg_class.oid
    where relnamespace = 'public'::regnamespace and relkind = 'r' and attname = 'tenant_id' order by 1`,
  );
  return rows.map(({ name }) => name);
}

async function textsOf(comparison: '=' | '<>'): Promise<string[]> {
  const texts: string[] = [];
  for (const table of await tenantTables()) {
    const { rows } = await superuser.query(
      `select to_jsonb(t) as row from ${table} t where tenant_id ${comparison} $1`,
      [b.tenant_id],
    );
    texts.push(...rows.flatMap(({ row }) => leaves(row)));
  }
  return texts;
}

/** All that a value says, each text by itself; errors with all that the database put into them. */
function leaves(value: unknown): string[] {
  if (Buffer.isBuffer(value)) {
    return [`\\x${value.toString('hex')}`];
  }
  if (value instanceof Date) {
    return [value.toISOString()];
  }
  if (value instanceof Map || value instanceof Set) {
    return leaves([...value]);
  }
  if (value instanceof Error) {
    return [value.message, ...leaves({ ...value, cause: value.cause })];
  }
  return typeof value === 'object' && value !== null
    ? Object.values(value).flatMap(leaves)
    : [String(value ?? '')];
}

/** One line per table: how many rows B has there and a checksum over them. */
async function checksums(): Promise<unknown[]> {
  const sums: unknown[] = [];
  for (const table of await tenantTables()) {
    const { rows } = await superuser.query(
      `select '${table}' as table, count(*)::int as rows, md5(string_agg(t::text, ',' order by t::text)) as sum
      from ${table} t where tenant_id = $1`,
      [b.tenant_id],
    );
    sums.push(rows[0]);
  }
  return sums;
}

/** Runs the work as A; neither what it gives nor what it throws says anything of B that A did not say itself. */
async function attempt(
  work: (tx: TenantTx) => Promise<unknown>,
  { tenant_id = fixture.acme.tenant_id, said = [] as unknown[] } = {},
): Promise<{ gives?: unknown; refused?: string }> {
  const before = await checksums();
  const outcome = await withTenant(fixture.db, tenant_id, work).then(
    (gives) => ({ gives, refused: undefined }),
    (error: { code?: string }) => ({ gives: error, refused: error.code ?? 'no code' }),
  );
  const text = leaves(outcome.gives).join('\n');
  const known = leaves(said).join('\n');
  expect(marks.filter((mark) => text.includes(mark) && !known.includes(mark))).toEqual([]);
  expect(await checksums()).toEqual(before);
  return outcome.refused === undefined ? { gives: outcome.gives } : { refused: outcome.refused };
}

test('every function of the domain that takes a tenant’s transaction has an entry here, and no other', () => {
  expect(found).toEqual(Object.keys(calls).sort());
});

test('the measure is sound: B has rows in every table, marks of its own, and a change of them shows', async () => {
  const before = await checksums();
  expect(before.filter((sum) => (sum as { rows: number }).rows === 0)).toEqual([]);
  expect(marks).toEqual(
    expect.arrayContaining([b.tenant_id, b.slug, b.domain, b.user_id, b.email, b.role, b.client_id]),
  );
  await superuser.query('begin');
  await superuser.query("update users set name = 'Changed' where id = $1", [b.user_id]);
  expect(await checksums()).not.toEqual(before);
  await superuser.query('rollback');
  const own = await withTenant(fixture.db, b.tenant_id, (tx) => findUser(tx, b.user_id));
  expect(leaves(own)).toEqual(expect.arrayContaining([b.user_id]));
});

describe('as A with the ids of B, nothing of B is read or changed [A-164]', () => {
  test.each(found)('%s', async (name) => {
    const [file, exported] = name.split(' ') as [string, string];
    const module = await import(`#src/domain/${file}`);
    for (const { args, refused, ...expected } of calls[name]!(b)) {
      const outcome = await attempt((tx) => module[exported](tx, ...args), { said: args });
      expect(outcome.refused).toBe(refused);
      if ('gives' in expected) {
        expect(outcome.gives).toEqual(expected.gives);
      }
    }
  });
});

describe('what B has already [A-175]', () => {
  test('a slug: a new tenant gets a conflict that names nobody', async () => {
    const tenant_id = crypto.randomUUID();
    const outcome = await attempt((tx) => createTenant(tx, { slug: b.slug, name: 'New' }), {
      tenant_id,
      said: [b.slug],
    });
    expect(outcome).toEqual({ refused: conflict });
  });

  test('a client_id, with every other field of it too: a conflict that names nobody', async () => {
    const { rows } = await superuser.query('select * from clients where client_id = $1', [b.client_id]);
    const { tenant_id: _, resources, ...client } = rows[0];
    const copy = { ...client, resources: JSON.stringify(resources) };
    expect(await attempt((tx) => putClient(tx, copy), { said: [b.client_id] })).toEqual({
      refused: conflict,
    });
  });

  test('a domain: a conflict, and A keeps its own', async () => {
    const outcome = await attempt((tx) => replaceTenantDomains(tx, [b.domain]), { said: [b.domain] });
    expect(outcome).toEqual({ refused: conflict });
    const { rows } = await superuser.query('select domain from tenant_domains where tenant_id = $1', [
      fixture.acme.tenant_id,
    ]);
    expect(rows).toEqual([{ domain: 'acme.test' }]);
  });

  test('an address, a role and an API: A makes its own, and each keeps its own', async () => {
    const said = [b.email, b.role, b.identifier];
    const outcome = await attempt(
      async (tx) => {
        await putRole(tx, { name: b.role, permissions: [] });
        await putResourceServer(tx, { identifier: b.identifier, name: 'Of A', scopes: [] });
        return putUser(tx, { email: b.email, email_verified: false, name: 'Of A', roles: [b.role] });
      },
      { said },
    );
    expect(outcome.refused).toBeUndefined();
    const { rows } = await superuser.query('select name from users where email = $1 order by name', [
      b.email,
    ]);
    expect(rows).toEqual([{ name: 'Of A' }, { name: 'Only in B' }]);
  });

  test('a user id: A may have the same one, and when A removes its user B keeps its own and its roles [P-09]', async () => {
    const said = [b.user_id];
    const own = await attempt(
      async (tx) => {
        await tx.insertInto('users').values({ id: b.user_id, email: 'twin@example.test' }).execute();
        await tx.insertInto('user_roles').values({ user_id: b.user_id, role_name: 'admin' }).execute();
        return findUser(tx, b.user_id);
      },
      { said },
    );
    expect(own.gives).toMatchObject({ email: 'twin@example.test', roles: ['admin'] });
    await attempt((tx) => tx.deleteFrom('users').where('id', '=', b.user_id).execute(), { said });
    const kept = await withTenant(fixture.db, b.tenant_id, (tx) => findUser(tx, b.user_id));
    expect(kept).toMatchObject({ email: 'bob@example.test', roles: ['admin'] });
  });

  test('a password: it opens nothing in A', async () => {
    const hashing = makePasswordHashing(
      makeHashingQueue({ concurrency: 1, maxWaiting: 10, maxWaitMs: 10_000 }),
    );
    const signIn = async (tenant_id: string) => {
      const outcome = await verifyUserPassword(
        { hashing, inTenant: (work) => withTenant(fixture.db, tenant_id, work), now: new Date() },
        { email: 'bob@example.test', password, device_secrets: [], ip: '192.0.2.1' },
      );
      return outcome.ok ? outcome.user : undefined;
    };
    const inA = await signIn(fixture.acme.tenant_id);
    const inB = await signIn(b.tenant_id);
    expect([inA?.id, inB?.id]).toEqual([fixture.acme.users.bob, b.user_id]);
    await superuser.query('update users set password_hash = null where id = $1', [fixture.acme.users.bob]);
    expect(await signIn(fixture.acme.tenant_id)).toBeUndefined();
  });
});
