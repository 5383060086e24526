import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { withTenant } from '#src/database/tenant.ts';
import { findUserByEmail } from '#src/domain/users/users.ts';
import { makeMasterKeyText } from '#src/lib/master-key.ts';
import { createFixture, type Fixture, password } from '#test/support/fixture.ts';
import { isSignedIn, openLogin } from '#test/support/login-form.ts';
import { type Node, startNode } from '#test/support/server.ts';

const email = 'alice@example.test';
const older = makeMasterKeyText('older');
const newer = makeMasterKeyText('newer');

let fixture: Fixture;
beforeAll(async () => {
  fixture = await createFixture();
});
afterAll(() => fixture?.drop());

const storedHash = async () =>
  (await withTenant(fixture.db, fixture.acme.tenant_id, (tx) => findUserByEmail(tx, email)))!.password_hash;

/** Signs in at a server with these peppers, and gives what was answered, logged and stored. */
async function signInWith(peppers: string | undefined, typed = password) {
  const node: Node = await startNode(fixture, peppers ? { env: { PASSWORD_PEPPERS: peppers } } : {});
  try {
    const answer = await (await openLogin(node.url)).send({ email, password: typed });
    const missing = node.log.filter(({ event }) => event === 'password.pepper_missing');
    return { in: isSignedIn(answer), status: answer.status, missing, stored: await storedHash() };
  } finally {
    await node.stop();
  }
}

test('peppers come, rotate, and lock out when they are gone, each at the next sign-in [N-12]', async () => {
  expect(await storedHash()).toMatch(/^\$argon2id\$/);
  expect(await signInWith(older, 'not the password at all')).toMatchObject({
    in: false,
    stored: expect.stringMatching(/^\$argon2id\$/),
  });
  expect(await signInWith(older)).toMatchObject({
    in: true,
    missing: [],
    stored: expect.stringMatching(/^pepper=older:\$argon2id\$/),
  });

  for (const without of [undefined, newer]) {
    const refused = await signInWith(without);
    expect(refused).toMatchObject({
      in: false,
      status: 401,
      stored: expect.stringMatching(/^pepper=older:/),
    });
    expect(refused.missing).toEqual([
      expect.objectContaining({ pepper: 'older', msg: expect.stringContaining('PASSWORD_PEPPERS') }),
    ]);
  }

  expect(await signInWith(`${newer},${older}`)).toMatchObject({
    in: true,
    stored: expect.stringMatching(/^pepper=newer:\$argon2id\$/),
  });
  expect(await signInWith(newer)).toMatchObject({ in: true, missing: [] });
});
