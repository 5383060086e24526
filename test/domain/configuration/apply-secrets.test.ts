import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import bcrypt from 'bcryptjs';
import { hashClientSecret, matchesClientSecret } from '#src/domain/clients/client-secrets.ts';
import { hashPassword } from '#src/domain/credentials/password-hash.ts';
import { actions, type Fixture, machine, makeFixture, password } from './fixture.ts';

let fixture: Fixture;
beforeAll(async () => {
  fixture = await makeFixture();
});
afterAll(() => fixture.close());

describe('a password', () => {
  const hashOf = async (slug: string) => (await fixture.userOf(slug, `bob@${slug}.test`)).password_hash;
  const bob = (slug: string, fields: object) => ({
    tenants: [{ slug, users: [{ email: `bob@${slug}.test`, ...fields }] }],
  });

  test('that is the same keeps its hash', async () => {
    await fixture.apply(bob('same-password', { password }));
    const before = await hashOf('same-password');
    await fixture.apply(bob('same-password', { password }));
    expect(await hashOf('same-password')).toBe(before);
  });

  test('that came as a hash is stored as it is [H-03]', async () => {
    const password_hash = await bcrypt.hash(password, 10);
    await fixture.apply(bob('imported', { password_hash }));
    expect(await hashOf('imported')).toBe(password_hash);
    const newer = await bcrypt.hash(`${password}!`, 10);
    await fixture.apply(bob('imported', { password_hash: newer }));
    expect(await hashOf('imported')).toBe(newer);
  });

  test('that came as a hash never replaces one that was made here', async () => {
    const password_hash = await bcrypt.hash(password, 10);
    await fixture.apply(bob('upgraded', { password_hash }));
    const own = await hashPassword(password);
    await fixture.asSuperuser(`update users set password_hash = '${own}' where email = 'bob@upgraded.test'`);
    const { changes } = await fixture.apply(bob('upgraded', { password_hash }));
    expect(actions(changes)).toEqual(['unchanged']);
    expect(await hashOf('upgraded')).toBe(own);
  });

  test('needs 15 characters, or 8 beside a second factor [N-01, A-082]', async () => {
    const file = (mfa: string, password: string) => ({
      tenants: [{ slug: 'bounds', settings: { mfa }, users: [{ email: 'bob@bounds.test', password }] }],
    });
    await expect(fixture.apply(file('optional', 'fourteen chars'))).rejects.toMatchObject({
      code: 'invalid',
      problems: ['tenants[0].users[0].password: needs at least 15 characters'],
    });
    await expect(fixture.apply(file('required', 'seven c'))).rejects.toThrow('at least 8 characters');
    await fixture.apply(file('required', 'q7Rx#9tv'));
    // The setting that the database holds counts where the file is silent.
    await fixture.apply({
      tenants: [{ slug: 'bounds', users: [{ email: 'bob@bounds.test', password: 'q7Rx#9tv' }] }],
    });
    await expect(fixture.apply(file('optional', 'q7Rx#9tv'))).rejects.toThrow('at least 15 characters');
  });

  test.each([
    ['is known', 'qwertyuiopasdfgh', 'is on the list of passwords that are known from breaches'],
    ['is made of tenant, product and year', 'Weak-Co-Tessera-2026', 'is made of names'],
    ['is made of a domain that is there by now', 'intranet.weak.test', 'is made of names'],
    ['is the address', 'bob@weak-co.test', 'is made of names'],
    ['is easy to guess', 'x'.repeat(20), 'is too easy to guess'],
  ])('that %s is refused, and nothing is changed [A-087, N-09]', async (_, weak, reason) => {
    await fixture.apply({ tenants: [{ slug: 'weak-co', name: 'Weak Co', domains: ['intranet.weak.test'] }] });
    const error = await fixture.apply(bob('weak-co', { password: weak })).catch((refused) => refused);
    expect(error).toMatchObject({ code: 'invalid', problems: [expect.stringContaining(reason)] });
    expect(error.message).not.toContain(weak);
    expect(await fixture.userOf('weak-co', 'bob@weak-co.test')).toBeUndefined();
  });

  test('of a compromised user must be another one before the user is active [A-088]', async () => {
    const statusOf = async () => (await fixture.userOf('leaked', 'bob@leaked.test')).status;
    await fixture.apply(bob('leaked', { password }));
    await fixture.apply(bob('leaked', { status: 'compromised' }));
    expect(await statusOf()).toBe('compromised');
    const { changes } = await fixture.apply(bob('leaked', { password, status: 'active' }));
    expect(actions(changes)).toEqual(['unchanged']);
    await fixture.apply(bob('leaked', { password: 'another horse battery staple', status: 'active' }));
    expect(await statusOf()).toBe('active');
  });
});

describe('a client secret', () => {
  const file = (slug: string, fields: object) => ({
    tenants: [{ slug, clients: [machine(`${slug}-client`, fields)] }],
  });

  test('is made of 256 bits where one is needed, shown once and then kept', async () => {
    const { generated } = await fixture.apply(file('made', {}));
    expect(generated).toEqual([
      { client_id: 'made-client', client_secret: expect.stringMatching(/^[\w-]{43}$/) },
    ]);
    const { secrets } = await fixture.clientOf('made', 'made-client');
    expect(secrets.map(({ secret_hash }) => secret_hash)).toEqual([
      hashClientSecret(generated[0]!.client_secret),
    ]);
    expect((await fixture.apply(file('made', { client_name: 'Renamed' }))).generated).toEqual([]);
  });

  test('is made anew once every other has ended', async () => {
    await fixture.apply(file('ended', {}));
    await fixture.asSuperuser(
      `update client_secrets set expires_at = now() where client_id = 'ended-client'`,
    );
    expect((await fixture.apply(file('ended', {}))).generated).toHaveLength(1);
  });

  test('that changes leaves the one before for 24 hours', async () => {
    await fixture.apply(file('changed', { client_secret: 'the first of two secrets' }));
    const { changes } = await fixture.apply(file('changed', { client_secret: 'the second of two secrets' }));
    expect(changes.at(-1)).toMatchObject({ action: 'update', fields: ['client_secret'] });
    const { secrets } = await fixture.clientOf('changed', 'changed-client');
    const ends = (secret: string) =>
      secrets.find(({ secret_hash }) => secret_hash.equals(hashClientSecret(secret)))?.expires_at;
    expect(ends('the first of two secrets')).toEqual(new Date(fixture.now.getTime() + 24 * 3_600_000));
    expect(ends('the second of two secrets')).toBeNull();
  });

  test('that changes with an overlap of nothing ends the one before at once', async () => {
    await fixture.apply(file('cut', { client_secret: 'the first of two secrets' }));
    await fixture.apply(
      file('cut', { client_secret: 'the second of two secrets', client_secret_overlap: 'PT0S' }),
    );
    const { secrets } = await fixture.clientOf('cut', 'cut-client');
    expect(matchesClientSecret('the first of two secrets', secrets, fixture.now)).toBe(false);
    expect(matchesClientSecret('the second of two secrets', secrets, fixture.now)).toBe(true);
  });

  test('is not made for a client that proves itself otherwise', async () => {
    const { generated } = await fixture.apply({
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
