import { writeFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { run } from '../../src/cli/run.ts';
import { ordersSql } from '../explain/orders.ts';
import { type LoadedSchema, loadSql } from '../schemas/load.ts';
import { audience, type Issuer, startIssuer, tenantId } from '../support/issuer.ts';
import { emptyFolder, rls } from './bin.ts';

let loaded: LoadedSchema;
let issuer: Issuer;

beforeAll(async () => {
  [loaded, issuer] = await Promise.all([loadSql(ordersSql), startIssuer()]);
});

afterAll(async () => {
  await issuer.stop();
  await loaded.drop();
});

const about = (table: string, url = loaded.runtimeUrl) => [
  ...['--table', table, '--issuer', issuer.url, '--audience', audience],
  ...['--url', url],
];

test('a good token from standard input: exit 0, and a page of text', async () => {
  const token = await issuer.mint();
  const { exit, stdout, stderr } = await rls(['explain', '-', ...about('shop.orders')], {
    input: `Bearer ${token}\n`,
  });
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
  expect(stdout).toMatch(/^Token {3}Accepted: signed by http:\S+, good until /);
  expect(stdout).toContain(`\n        tenant_id  "${tenantId}"\n`);
  expect(stdout).toContain(`\nTenant  ${tenantId}\n`);
  expect(stdout).toContain(
    '\n        select, insert, update, delete: rows for which tenant_id is the tenant of the token\n',
  );
  expect(stdout).toContain('\nRows    It sees 2 rows, of about 10002 in the table.\n');
  expect(stdout).toMatch(/\nPlan {4}(Bitmap Heap|Index) Scan, by the index orders_pkey; cost [\d.]+; /);
  expect(stdout).not.toContain(token.split('.')[2]);
});

test('as JSON: the same in members', async () => {
  const { exit, stdout } = await rls(['explain', await issuer.mint(), ...about('shop.orders'), '--json']);
  expect(exit).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    findings: [],
    token: { accepted: true, claims: { tenant_id: tenantId } },
    tenant: tenantId,
    table: 'shop.orders',
    rows: { seen: 2 },
  });
});

test('a refused token: exit 1, why, and no tenant', async () => {
  const token = await issuer.mint({ exp: issuer.at - 3600 });
  const { exit, stdout } = await rls(['explain', token, ...about('shop.orders')]);
  expect(exit).toBe(1);
  expect(stdout).toMatch(
    /^Token {3}The token has expired\. Its exp was \d+ minutes ago\.\n {8}code +expired\n/,
  );
  expect(stdout).toMatch(/\nTenant {2}None: .+\n$/);
});

test('findings about the table: exit 1', async () => {
  const { exit, stdout } = await rls(['explain', await issuer.mint(), ...about('shop.per_row')]);
  expect(exit).toBe(1);
  expect(stdout).toMatch(/P-24\/per-row-policy +policy tenant_isolation on shop\.per_row\n/);
});

test('claims of a stranger are shown without what a terminal would obey', async () => {
  const token = await issuer.mint({ iss: 'https://\u009b31m\u202eother.test' });
  const { exit, stdout } = await rls(['explain', token, ...about('shop.orders')]);
  expect(exit).toBe(1);
  expect(stdout).toContain('https://\\u009b31m\\u202eother.test');
  expect(stdout).not.toMatch(/[\u0080-\u009f\u202e]/);
});

test('what it cannot do is exit 2: no such table, an issuer that is none or is away, a role out of reach', async () => {
  const token = await issuer.mint();
  const cases: [string[], RegExp][] = [
    [about('shop.nothing'), /^rls: there is no table shop\.nothing; there is /],
    [[...about('shop.orders'), '--issuer', 'http://id.example.test'], /^rls: issuer must be an https URL/],
    [
      [...about('shop.orders'), '--issuer', 'http://127.0.0.1:1'],
      /^rls: .+; with --jwks FILE the keys come from a file/,
    ],
    [
      [...about('shop.orders', loaded.ownerUrl), '--role', loaded.roles.runtime],
      /may not become the role "rls_runtime/,
    ],
  ];
  for (const [args, message] of cases) {
    const at = args.indexOf('http://127.0.0.1:1');
    const shown = at === -1 ? token : await issuer.mint({ iss: args[at] });
    const { exit, stdout, stderr } = await rls(['explain', shown, ...args]);
    expect({ exit, stdout }).toEqual({ exit: 2, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain(shown);
  }
});

test('--jwks takes the keys from a file', async () => {
  using folder = emptyFolder();
  writeFileSync(folder.file('jwks.json'), JSON.stringify({ keys: issuer.jwks }));
  writeFileSync(folder.file('no-keys.json'), '{}');
  const ask = async (file: string) =>
    rls(['explain', await issuer.mint(), ...about('shop.orders'), '--jwks', file], {
      directory: folder.path,
    });
  issuer.down = true;
  expect((await ask('jwks.json')).exit).toBe(0);
  issuer.down = false;
  expect(await ask('no-keys.json')).toMatchObject({
    exit: 2,
    stderr: expect.stringMatching(/is no JWK set/),
  });
});

test('colours are for a terminal', async () => {
  const args = ['explain', await issuer.mint(), ...about('shop.orders')];
  const around = { env: {}, directory: '/', stdin: async () => '' };
  const plain = await run(args, { ...around, colours: false });
  const coloured = await run(args, { ...around, colours: true });
  expect(plain.stdout).not.toContain('\u001b');
  expect(coloured.stdout).toContain('\u001b[32m');
  expect(stripVTControlCharacters(coloured.stdout)).toBe(plain.stdout);
});
