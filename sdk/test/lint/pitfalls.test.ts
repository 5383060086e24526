import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import type { Catalogue } from '../../src/catalogue/catalogue.ts';
import { readCatalogue } from '../../src/catalogue/read.ts';
import type { Finding } from '../../src/findings.ts';
import { lint } from '../../src/lint/lint.ts';
import { rules } from '../../src/lint/rules.ts';
import { defaultOptions } from '../../src/options.ts';
import { type LoadedSchema, loadSchema } from '../schemas/load.ts';
import { isSql } from './found.ts';

let pitfalls: LoadedSchema;
let corrected: LoadedSchema;

beforeAll(async () => {
  [pitfalls, corrected] = await Promise.all([loadSchema('pitfalls'), loadSchema('corrected')]);
});

afterAll(() => Promise.all([pitfalls.drop(), corrected.drop()]));

async function read(url: string): Promise<Catalogue> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await readCatalogue(client, defaultOptions);
  } finally {
    await client.end();
  }
}

const lintAt = async (url: string): Promise<Finding[]> => lint(await read(url), defaultOptions);

test('finds nothing in the corrected twin', async () => {
  expect(await lintAt(corrected.runtimeUrl)).toEqual([]);
});

describe('in the schema with every pitfall', () => {
  test('names each of the 24 numbers', async () => {
    const numbers = new Set((await lintAt(pitfalls.runtimeUrl)).map(({ rule }) => rule.slice(0, 4)));
    const all = Array.from({ length: 24 }, (_, index) => `P-${String(index + 1).padStart(2, '0')}`);
    expect([...numbers].sort()).toEqual(all);
  });

  test('names each object for its own pitfall', async () => {
    const findings = await lintAt(pitfalls.runtimeUrl);
    const { tables, views, functions } = await read(pitfalls.runtimeUrl);
    // These are right: others stand on them.
    const bystanders = /^(p02_parted|p13_items|p15_imports|p16_items|p17_items|p19_items|p0[89]_users)$/;
    const missed = [...tables, ...views, ...functions]
      .map(({ name }) => name)
      .filter((name) => !bystanders.test(name))
      .filter(
        (name) =>
          !findings.some(
            ({ rule, object }) => rule.startsWith(`P-${name.slice(1, 3)}/`) && object.includes(name),
          ),
      );
    expect(missed).toEqual([]);
  });

  test('gives four texts, and an object once per rule', async () => {
    const findings = await lintAt(pitfalls.runtimeUrl);
    for (const finding of findings) {
      expect(Object.keys(finding)).toEqual(['rule', 'object', 'risk', 'fix']);
      expect(Object.values(finding).every((text) => typeof text === 'string' && text.length > 3)).toBe(true);
    }
    const pairs = findings.map(({ rule, object }) => `${rule} ${object}`);
    expect(new Set(pairs).size).toBe(pairs.length);
  });

  test('finds the same as a superuser who names the role', async () => {
    const client = new pg.Client({ connectionString: pitfalls.superUrl });
    await client.connect();
    const options = { ...defaultOptions, role: pitfalls.roles.runtime };
    const catalogue = await readCatalogue(client, options);
    await client.end();
    expect(lint(catalogue, options)).toEqual(await lintAt(pitfalls.runtimeUrl));
  });
});

describe('a fix that is SQL', () => {
  const options = () => ({ ...defaultOptions, role: pitfalls.roles.runtime });
  let client: pg.Client;

  beforeAll(async () => {
    client = new pg.Client({ connectionString: pitfalls.superUrl });
    await client.connect();
  });

  afterAll(() => client.end());

  /** Tables are mended by their owner, whom policies bind; the rest needs more. */
  const apply = async ({ rule, fix }: Finding): Promise<void> => {
    const byOwner = /^P-(02|03|05|08|09|10|11|18|21|22|24)\//.test(rule);
    await client.query(byOwner ? `set local role ${pitfalls.roles.owner}` : 'reset role');
    await client.query(fix);
    await client.query('reset role');
  };

  test('takes its finding away, and brings no other', async () => {
    const findings = lint(await readCatalogue(client, options()), options());
    const known = new Set(findings.map(({ rule, object }) => `${rule} ${object}`));
    const mended = findings.filter(isSql);
    expect(mended.length).toBeGreaterThan(35);
    for (const finding of mended) {
      await client.query('begin');
      await apply(finding);
      const left = lint(await readCatalogue(client, options()), options());
      await client.query('rollback');
      const pairs = left.map(({ rule, object }) => `${rule} ${object}`);
      expect(pairs).not.toContain(`${finding.rule} ${finding.object}`);
      expect(pairs.filter((pair) => !known.has(pair))).toEqual([]);
    }
  });

  test('goes with all others, and decisions are left', async () => {
    await client.query('begin');
    const findings = lint(await readCatalogue(client, options()), options());
    for (const finding of findings.filter(isSql)) await apply(finding);
    const left = lint(await readCatalogue(client, options()), options());
    await client.query('rollback');
    expect(left).toEqual(findings.filter((finding) => !isSql(finding)));
  });
});

describe('what a server is and how it is set', () => {
  const lintWith = async (change: Partial<Catalogue>) =>
    lint({ ...(await read(corrected.runtimeUrl)), ...change }, defaultOptions).map(({ rule }) => rule);

  test.each([
    [150_008, ['P-18/old-server', 'P-19/old-server']],
    [150_009, ['P-19/old-server']],
    [150_014, []],
    [170_005, ['P-19/old-server']],
    [120_022, ['P-18/old-server', 'P-19/old-server']],
    [180_000, []],
  ])('version %d [P-18, P-19]', async (version, expected) => {
    expect(await lintWith({ version })).toEqual(expected);
  });

  test('a tenant that every connection starts with [P-07]', async () => {
    const setting = { name: 'app.current_tenant_id', value: 'x' };
    expect(await lintWith({ defaults: [{ role: '', database: 'd', ...setting }] })).toEqual([
      'P-07/default-tenant',
    ]);
    expect(
      await lintWith({ defaults: [{ role: '', database: 'd', name: 'timezone', value: 'UTC' }] }),
    ).toEqual([]);
    const { role } = await read(corrected.runtimeUrl);
    expect(await lintWith({ defaults: [{ role: role.name, database: '', ...setting }] })).toEqual([
      'P-07/default-tenant',
    ]);
    expect(await lintWith({ defaults: [{ role: 'of_another_database', database: '', ...setting }] })).toEqual(
      [],
    );
  });

  test.each([
    [{ superuser: true }, ['P-01/superuser']],
    [{ bypassRls: true }, ['P-01/bypass-rls']],
    [{ createRole: true }, ['P-01/create-role']],
    [{ memberOf: ['pg_read_all_data'] }, ['P-01/all-tables']],
    [{ memberOf: ['pg_monitor'] }, ['P-19/statistics-role']],
    [{ memberOf: ['pg_execute_server_program'] }, ['P-15/server-files']],
  ])('a runtime role with %j [P-01, P-15, P-19]', async (attributes, expected) => {
    const { role } = await read(corrected.runtimeUrl);
    expect(await lintWith({ role: { ...role, ...attributes } })).toEqual(expected);
  });
});

test('rules have ids of their own, in order', () => {
  const ids = rules.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.map((id) => id.slice(0, 4))).toEqual(ids.map((id) => id.slice(0, 4)).sort());
  for (const id of ids) expect(id).toMatch(/^P-\d\d\/[a-z]+(-[a-z]+)*$/);
});
