import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import pg from 'pg';
import { setConfig, setLocal, settingsOf } from '../../src/run/settings.ts';
import { createTenantDatabase, makeToken } from './tenant-database.ts';

let database: Awaited<ReturnType<typeof createTenantDatabase>>;
const clients: pg.Client[] = [];

beforeAll(async () => {
  database = await createTenantDatabase();
  for (const options of ['', '-c standard_conforming_strings=off', '-c backslash_quote=off']) {
    const client = new pg.Client({ connectionString: database.url, options });
    await client.connect();
    clients.push(client);
  }
});
afterAll(async () => {
  for (const client of clients) await client.end();
  await database?.drop();
});

/** The claims that SQL sees, with both ways of setting them, however the connection reads literals. */
async function readBack(claims: Record<string, unknown>): Promise<string[]> {
  const token = makeToken(undefined, { claims });
  const seen: string[] = [];
  for (const client of clients) {
    for (const settings of [setLocal(token), setConfig(token)]) {
      await client.query(`begin; ${settings}`);
      const { rows } = await client.query(
        `select encode(convert_to(current_setting('request.jwt.claims'), 'UTF8'), 'hex') as claims,
          current_setting('app.current_tenant_id') as tenant`,
      );
      await client.query('rollback');
      expect(rows[0].tenant).toBe(token.tenantId);
      seen.push(Buffer.from(rows[0].claims, 'hex').toString());
    }
  }
  return [...new Set(seen)];
}

describe('claims reach SQL as they are, whatever they hold', () => {
  test.each([
    `'; drop table orders.orders; --`,
    `\\'; drop table orders.orders; --`,
    `\\\\'' e'\\x27'`,
    '$$ $1 %s $x \u2028 \r\n\t\u0001\u007f',
    'Žluťoučký 表 ソ ﷽ 🐘 e\u0301',
    'ends with a backslash \\',
  ])('%j', async (value) => {
    const claims = { sub: value, [value]: [value, { deep: value }] };
    const seen = await readBack(claims);
    expect(seen).toHaveLength(1);
    expect(JSON.parse(seen[0]!)).toMatchObject(claims);
  });

  test('any string at all', async () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 40 }).filter((value) => !value.includes('\0'));
    await fc.assert(
      fc.asyncProperty(text, text, async (name, value) => {
        const claims = { [`x_${name}`]: value };
        const [seen, ...others] = await readBack(claims);
        expect(others).toEqual([]);
        expect(JSON.parse(seen!)).toMatchObject(claims);
      }),
      { numRuns: 60 },
    );
  });
});

test('the literals are ASCII in which no quote or backslash is the text’s own', () => {
  const hostile = makeToken(undefined, { claims: { sub: `'\\é` } });
  const statements = setLocal(hostile, `r'o\\le`);
  expect(statements).toMatch(/^[ -~]*$/);
  expect(statements).toContain(`"sub":"\\u0027\\u005c\\u005c\\u00e9"`);
  expect(statements).toContain(`set local role = e'r\\u0027o\\u005cle'`);
});

test('names what it sets', () => {
  const token = makeToken();
  expect(settingsOf(token, 'reader')).toEqual([
    ['app.current_tenant_id', token.tenantId],
    ['request.jwt.claims', JSON.stringify(token.claims)],
    ['role', 'reader'],
  ]);
});

test('a tenant in upper case is the same one [A-173]', () => {
  const [tenant] = settingsOf(makeToken('0190D4E0-0000-7000-8000-00000000ABCD'));
  expect(tenant).toEqual(['app.current_tenant_id', '0190d4e0-0000-7000-8000-00000000abcd']);
});

test.each([
  ['U+0000 in a claim', makeToken(undefined, { claims: { sub: 'a\0b' } })],
  ['U+0000 in the name of a claim', makeToken(undefined, { claims: { deep: [{ 'a\0b': 1 }] } })],
  ['half a surrogate pair', makeToken(undefined, { claims: { sub: '\ud800' } })],
  ['a tenant that is no uuid', makeToken('acme')],
  ['a tenant with a space behind it [A-173]', makeToken('0190d4e0-0000-7000-8000-000000000000 ')],
  ['an empty tenant [A-173]', makeToken('')],
])('refuses %s', (_name, token) => {
  expect(() => setLocal(token)).toThrow(expect.objectContaining({ code: 'unsafe_value' }));
  expect(() => setConfig(token)).toThrow(expect.objectContaining({ code: 'unsafe_value' }));
});

test('a backslash before u0000 in a claim is text like any other', async () => {
  const [seen] = await readBack({ sub: '\\u0000' });
  expect(JSON.parse(seen!)).toMatchObject({ sub: '\\u0000' });
});
