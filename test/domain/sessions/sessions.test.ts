import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Insertable } from 'kysely';
import type { SessionsTable } from '#src/database/schema.ts';
import { type TenantTx, withTenant } from '#src/database/tenant.ts';
import {
  endAllSessions,
  endOtherSessions,
  endSession,
  findSessionId,
  labelSession,
  listSessions,
  makeRoomForSession,
} from '#src/domain/sessions/sessions.ts';
import { updateTenant } from '#src/domain/tenants/tenants.ts';
import { mendCompromisedUser, setUserStatus } from '#src/domain/users/users.ts';
import { createFixture, type Fixture } from '#test/support/fixture.ts';

const now = new Date('2026-03-01T12:00:00Z');
const minutes = (count: number) => new Date(now.getTime() + count * 60_000);

let fixture: Fixture;
let alice: string;
let bob: string;

beforeAll(async () => {
  fixture = await createFixture();
  alice = fixture.acme.users.alice;
  bob = fixture.acme.users.bob;
});
afterAll(() => fixture?.drop());
beforeEach(() =>
  inAcme(async (tx) => {
    await tx.deleteFrom('sessions').execute();
    await tx.deleteFrom('protocol_store').execute();
    await updateTenant(tx, { settings: {} });
  }),
);

const inAcme = <T>(work: (tx: TenantTx) => Promise<T>) =>
  withTenant(fixture.db, fixture.acme.tenant_id, work);

/** A session of alice of a minute ago, but for what is said otherwise; gives its id. */
async function addSession(name: string, row: Partial<Insertable<SessionsTable>> = {}): Promise<string> {
  const id = randomUUID();
  await inAcme((tx) =>
    tx
      .insertInto('sessions')
      .values({
        id,
        uid_key: Buffer.from(name),
        key: Buffer.from(`cookie of ${name}`),
        user_id: alice,
        sealed_payload: Buffer.from(''),
        created_at: minutes(-1),
        authenticated_at: minutes(-1),
        last_activity_at: minutes(-1),
        expires_at: minutes(29),
        ends_at: minutes(479),
        ...row,
      })
      .execute(),
  );
  return id;
}

/** What was given out under the session of this name, with the grant that it came from. */
async function giveOut(name: string, user_id = alice) {
  const expires_at = minutes(600);
  await inAcme((tx) =>
    tx
      .insertInto('protocol_store')
      .values(
        ['AuthorizationCode', 'AccessToken', 'RefreshToken', 'Grant'].map((model) => ({
          key: Buffer.from(`${model} of ${name}`),
          model,
          sealed_payload: Buffer.from(''),
          expires_at,
          user_id,
          ...(model === 'Grant'
            ? {}
            : { grant_key: Buffer.from(`Grant of ${name}`), session_key: Buffer.from(name) }),
        })),
      )
      .execute(),
  );
}

const ids = async (at = now, user_id = alice) =>
  (await inAcme((tx) => listSessions(tx, user_id, at))).map(({ id }) => id);
const givenOut = async () => {
  const rows = await inAcme((tx) => tx.selectFrom('protocol_store').select('key').execute());
  return [...new Set(rows.map(({ key }) => key.toString().split(' of ')[1]))].sort();
};

describe('the list', () => {
  test('shows what a person may know of each session, the one used last first', async () => {
    const older = await addSession('older', { last_activity_at: minutes(-20) });
    const known = {
      ip: '203.0.113.7',
      user_agent: 'Browser',
      device_label: 'Work',
      amr: ['pwd'],
      acr: 'urn:tessera:aal1',
    };
    const newer = await addSession('newer', known);
    await addSession('of bob', { user_id: bob });
    const list = await inAcme((tx) => listSessions(tx, alice, now));
    expect(list.map(({ id }) => id)).toEqual([newer, older]);
    expect(list[0]).toEqual({
      id: newer,
      created_at: minutes(-1),
      authenticated_at: minutes(-1),
      last_activity_at: minutes(-1),
      expires_at: minutes(29),
      ends_at: minutes(479),
      ...known,
    });
  });

  test('holds those that are alive only, by both ends [M-5]', async () => {
    const alive = await addSession('alive');
    await addSession('idle', { expires_at: now });
    await addSession('over', { ends_at: now });
    await addSession('of nobody', { user_id: null, authenticated_at: null });
    expect(await ids()).toEqual([alive]);
    expect(await ids(minutes(29))).toEqual([]);
  });

  test('goes by the settings of today, once a tenant shortens them', async () => {
    const [fresh, idle] = [
      await addSession('fresh'),
      await addSession('idle', { last_activity_at: minutes(-6) }),
    ];
    await addSession('old', { authenticated_at: minutes(-10) });
    expect(await ids()).toContain(idle);
    await inAcme((tx) => updateTenant(tx, { settings: { session: { idle: 'PT5M', absolute: 'PT10M' } } }));
    const list = await inAcme((tx) => listSessions(tx, alice, now));
    expect(list).toMatchObject([{ id: fresh, expires_at: minutes(4), ends_at: minutes(9) }]);
  });
});

test('a session is found by what its tokens call it', async () => {
  const id = await addSession('one');
  expect(await inAcme((tx) => findSessionId(tx, Buffer.from('one')))).toBe(id);
  expect(await inAcme((tx) => findSessionId(tx, Buffer.from('none')))).toBeUndefined();
});

test('a session gets a name from its user and nobody else', async () => {
  const id = await addSession('one');
  const label = (user_id: string, text: string | null) => inAcme((tx) => labelSession(tx, user_id, id, text));
  expect(await label(bob, 'Of Bob')).toBe(false);
  expect(await label(alice, 'My phone')).toBe(true);
  expect(await inAcme((tx) => listSessions(tx, alice, now))).toMatchObject([{ device_label: 'My phone' }]);
  expect(await label(alice, null)).toBe(true);
  await expect(label(alice, 'x'.repeat(101))).rejects.toMatchObject({ code: '23514' });
});

describe('ending', () => {
  let first: string;
  let second: string;
  beforeEach(async () => {
    first = await addSession('first');
    second = await addSession('second');
    await addSession('third', { user_id: bob });
    for (const name of ['first', 'second', 'signed out']) {
      await giveOut(name);
    }
    await giveOut('third', bob);
  });

  test('one session ends what was given out under it, and nothing else', async () => {
    expect(await inAcme((tx) => endSession(tx, alice, first))).toBe(true);
    expect(await ids()).toEqual([second]);
    expect(await givenOut()).toEqual(['second', 'signed out', 'third']);
    expect(await inAcme((tx) => endSession(tx, alice, first))).toBe(false);
  });

  test('a session of somebody else ends nothing', async () => {
    expect(await inAcme((tx) => endSession(tx, bob, first))).toBe(false);
    expect(await givenOut()).toEqual(['first', 'second', 'signed out', 'third']);
  });

  test('the others keeps one, and ends what outlived a sign-out', async () => {
    expect(await inAcme((tx) => endOtherSessions(tx, alice, second))).toBe(1);
    expect(await ids()).toEqual([second]);
    expect(await givenOut()).toEqual(['second', 'third']);
  });

  test('all leaves nothing of the user', async () => {
    expect(await inAcme((tx) => endAllSessions(tx, alice))).toBe(2);
    expect(await ids()).toEqual([]);
    expect(await givenOut()).toEqual(['third']);
    expect(await ids(now, bob)).toHaveLength(1);
  });

  test.each(['disabled', 'compromised'] as const)('comes with a user who is %s [7.4.2]', async (status) => {
    await inAcme((tx) => setUserStatus(tx, alice, status));
    expect(await ids()).toEqual([]);
    expect(await givenOut()).toEqual(['third']);
    await inAcme((tx) => setUserStatus(tx, alice, 'active'));
  });

  test('comes with the new password of a compromised user, too', async () => {
    await inAcme((tx) => setUserStatus(tx, alice, 'compromised'));
    await addSession('meanwhile');
    const from = await inAcme(async (tx) => {
      const user = tx.selectFrom('users').select('password_hash').where('id', '=', alice);
      return (await user.executeTakeFirstOrThrow()).password_hash!;
    });
    await inAcme((tx) => mendCompromisedUser(tx, alice, { from, to: from }));
    expect(await ids()).toEqual([]);
  });

  test('comes with a user who is gone', async () => {
    const id = await inAcme(async (tx) => {
      const user = tx.insertInto('users').values({ email: 'gone@example.test' }).returning('id');
      return (await user.executeTakeFirstOrThrow()).id;
    });
    await addSession('of the gone', { user_id: id });
    await inAcme((tx) => tx.deleteFrom('users').where('id', '=', id).execute());
    expect(await inAcme((tx) => findSessionId(tx, Buffer.from('of the gone')))).toBeUndefined();
  });
});

describe('room for one more session [7.1.2]', () => {
  const makeRoom = (limit: number) => inAcme((tx) => makeRoomForSession(tx, alice, { limit, now }));

  test('is made by ending the longest inactive, with what was given out under it', async () => {
    const active = await addSession('active', { last_activity_at: minutes(-1) });
    await addSession('inactive', { last_activity_at: minutes(-9) });
    const middle = await addSession('middle', { last_activity_at: minutes(-5) });
    for (const name of ['active', 'inactive', 'middle']) {
      await giveOut(name);
    }
    await makeRoom(4);
    expect(await ids()).toHaveLength(3);
    await makeRoom(3);
    expect(await ids()).toEqual([active, middle]);
    expect(await givenOut()).toEqual(['active', 'middle']);
    await makeRoom(1);
    expect(await ids()).toEqual([]);
  });

  test('counts neither what is over nor what is of others', async () => {
    const alive = await addSession('alive');
    await addSession('idle', { expires_at: now });
    await addSession('of bob', { user_id: bob });
    await makeRoom(2);
    expect(await ids()).toEqual([alive]);
    expect(await ids(now, bob)).toHaveLength(1);
  });
});
