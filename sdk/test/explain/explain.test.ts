import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { readCatalogue } from '../../src/catalogue/read.ts';
import { type Explanation, explain, isGood } from '../../src/explain/explain.ts';
import { defaultOptions, type SchemaOptions } from '../../src/options.ts';
import { type LoadedSchema, loadSql } from '../schemas/load.ts';
import { audience, type Issuer, startIssuer, tenantId } from '../support/issuer.ts';
import { ordersSql, otherTenant } from './orders.ts';

let loaded: LoadedSchema;
let issuer: Issuer;
let runtime: pg.Client;
let admin: pg.Client;

beforeAll(async () => {
  loaded = await loadSql(ordersSql);
  [runtime, admin] = [
    new pg.Client({ connectionString: loaded.runtimeUrl }),
    new pg.Client({ connectionString: loaded.superUrl }),
  ];
  await Promise.all([runtime.connect(), admin.connect()]);
});

beforeEach(async () => {
  issuer = await startIssuer();
});

afterEach(() => issuer.stop());

afterAll(async () => {
  await Promise.all([runtime.end(), admin.end()]);
  await loaded.drop();
});

async function ask(
  token: string,
  table: string,
  { client = runtime, ...change }: Partial<SchemaOptions> & { client?: pg.Client } = {},
): Promise<Explanation> {
  const options = { ...defaultOptions, ...change };
  const catalogue = await readCatalogue(client, options);
  return explain(token, {
    client,
    catalogue,
    options,
    table,
    issuer: issuer.url,
    audience,
    now: issuer.clock,
  });
}

const reading = ({ access }: Explanation) => access.find(({ command }) => command === 'select')!;

describe('a token that is accepted', () => {
  test('sees the rows of its tenant, and the plan says how they are found [P-24]', async () => {
    const explanation = await ask(await issuer.mint(), 'shop.orders');
    expect(explanation.tenant).toBe(tenantId);
    expect(explanation.rows).toMatchObject({ seen: 2, refusal: undefined, plan: { asks: 'once per query' } });
    expect(explanation.rows?.plan?.indexes).toEqual(['orders_pkey']);
    expect(explanation.estimatedRows).toBe(10002);
    expect(reading(explanation)).toEqual({
      command: 'select',
      rows: 'some',
      sentence: 'rows for which tenant_id is the tenant of the token',
      policies: ['tenant_boundary', 'tenant_isolation'],
    });
    expect(explanation.findings).toEqual([]);
    expect(isGood(explanation)).toBe(true);
  });

  test('of another tenant sees the other rows', async () => {
    const { rows } = await ask(await issuer.mint({ tenant_id: otherTenant }), 'shop.orders');
    expect(rows?.seen).toBe(1000);
  });

  test('a small table is read whole, and the index that waits for it is told', async () => {
    const { rows } = await ask(await issuer.mint(), 'shop.small');
    expect(rows?.plan).toMatchObject({ scans: ['Seq Scan'], indexes: [], usable: ['small_tenant_id_idx'] });
  });

  test('a policy that is asked for each row, and an index that is missing, are told [P-24]', async () => {
    const explanation = await ask(await issuer.mint(), 'per_row');
    expect(explanation.rows?.plan).toMatchObject({ asks: 'for each row', indexes: [], usable: [] });
    expect(explanation.findings.map(({ rule }) => rule)).toEqual(
      expect.arrayContaining(['P-24/per-row-policy', 'P-24/no-leading-index']),
    );
    expect(isGood(explanation)).toBe(false);
  });

  test('is counted under the claims and under settings of the application’s own', async () => {
    const token = await issuer.mint();
    expect((await ask(token, 'shop.claimed')).rows?.seen).toBe(1);
    const own = await ask(token, 'shop.own_setting', { settings: ['my.tenant'] });
    expect(own.rows?.seen).toBe(1);
  });

  test('a query that fails is told with what PostgreSQL says', async () => {
    const explanation = await ask(await issuer.mint(), 'shop.broken');
    expect(explanation.rows).toMatchObject({
      seen: undefined,
      refusal: expect.stringMatching(/^PostgreSQL refuses: .*no\.such/),
    });
    expect(isGood(explanation)).toBe(false);
  });

  test.each([
    ['shop.write_only', /^nothing: the role has no privilege to select$/],
    ['hidden.orders', /^nothing: the role has no usage of the schema hidden$/],
  ])('a right that is missing is told: %s', async (table, sentence) => {
    const explanation = await ask(await issuer.mint(), table);
    expect(reading(explanation).sentence).toMatch(sentence);
    expect(explanation.rows?.refusal).toMatch(/permission denied/);
    expect(isGood(explanation)).toBe(false);
  });

  test('a superuser sees everything, and that is a finding; as the runtime role it sees the tenant’s [P-01]', async () => {
    const token = await issuer.mint();
    const asSuper = await ask(token, 'shop.orders', { client: admin });
    expect(reading(asSuper)).toMatchObject({ rows: 'all', sentence: expect.stringMatching(/superuser/) });
    expect(asSuper.rows?.seen).toBe(10002);
    expect(asSuper.findings.map(({ rule }) => rule)).toContain('P-01/superuser');
    expect(isGood(asSuper)).toBe(false);
    const asRuntime = await ask(token, 'shop.orders', { client: admin, role: loaded.roles.runtime });
    expect(asRuntime.rows?.seen).toBe(2);
    expect(isGood(asRuntime)).toBe(true);
  });

  test('leaves nothing behind on the connection, neither tenant nor role nor transaction [P-07]', async () => {
    await ask(await issuer.mint(), 'shop.orders', { client: admin, role: loaded.roles.runtime });
    const { rows } = await admin.query(
      `select current_setting('app.current_tenant_id', true) as tenant, current_user = session_user as same,
        current_setting('transaction_read_only') as read_only, current_setting('enable_seqscan') as scans`,
    );
    expect(rows).toEqual([{ tenant: '', same: true, read_only: 'off', scans: 'on' }]);
  });

  test('a table that is not there, or twice, is told with those that are', async () => {
    const token = await issuer.mint();
    await expect(ask(token, 'shop.order')).rejects.toThrow(/no table shop\.order; there is hidden\.orders, /);
    await expect(ask(token, 'orders')).rejects.toThrow(
      /more than one table orders: hidden\.orders, shop\.orders/,
    );
  });
});

describe('a token that is not accepted sets no tenant and counts nothing [A-070]', () => {
  const refused: [string, string, RegExp, () => Promise<string>][] = [
    ['expired', 'expired', /Its exp was 60 minutes ago/, () => issuer.mint({ exp: issuer.at - 3600 })],
    [
      'of another issuer',
      'wrong_issuer',
      /Its iss is "https:\/\/other\.test"/,
      () => issuer.mint({ iss: 'https://other.test' }),
    ],
    [
      'for another audience',
      'wrong_audience',
      /Its aud is "https:\/\/other\.test"/,
      () => issuer.mint({ aud: 'https://other.test' }),
    ],
    ['an ID token', 'wrong_type', /Its typ is "JWT"/, () => issuer.mint({}, { typ: 'JWT' })],
    ['unsigned', 'wrong_algorithm', /Its alg is "none"/, () => issuer.mint({}, { alg: 'none' })],
    ['of an unknown key', 'unknown_key', /Its kid is "other"/, () => issuer.mint({}, { kid: 'other' })],
    ['not valid yet', 'not_yet_valid', /is a clock wrong/, () => issuer.mint({ nbf: issuer.at + 900 })],
    ['without a tenant', 'missing_claim', /no tenant_id/, () => issuer.mint({ tenant_id: undefined })],
    [
      'bound to a key',
      'proof_required',
      /without the proof/,
      () => issuer.mint({ cnf: { jkt: 'x'.repeat(43) } }),
    ],
    ['changed', 'bad_signature', /signature/, async () => (await issuer.mint()).replace(/.{8}$/, 'AAAAAAAA')],
    ['no JWT at all', 'malformed_token', /not a signed JWT/, async () => 'hunter2'],
    ['nothing', 'missing_token', /Nothing was given/, async () => ''],
  ];

  test.each(refused)('%s: %s', async (_, code, sentence, mint) => {
    const token = await mint();
    const explanation = await ask(token, 'shop.orders');
    expect(explanation.token).toMatchObject({
      accepted: false,
      code,
      sentence: expect.stringMatching(sentence),
    });
    expect(explanation).toMatchObject({ tenant: undefined, rows: undefined, access: [] });
    expect(isGood(explanation)).toBe(false);
    const signature = token.split('.')[2];
    if (signature) expect(JSON.stringify(explanation)).not.toContain(signature);
  });

  test('whose issuer cannot be reached is neither accepted nor refused', async () => {
    const token = await issuer.mint();
    issuer.down = true;
    await expect(ask(token, 'shop.orders')).rejects.toMatchObject({ code: 'keys_unavailable' });
  });

  test('with keys from a file the issuer is not asked, and its checks are the same', async () => {
    const options = { ...defaultOptions };
    const catalogue = await readCatalogue(runtime, options);
    const given = { client: runtime, catalogue, options, table: 'shop.orders', issuer: issuer.url, audience };
    const jwks = { keys: issuer.jwks };
    const good = await explain(await issuer.mint(), { ...given, jwks });
    expect(good.rows?.seen).toBe(2);
    const bad = await explain(await issuer.mint({}, { kid: 'other' }), { ...given, jwks });
    expect(bad.token.code).toBe('unknown_key');
    expect(issuer.fetched).toEqual([]);
  });
});
