import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readCatalogue } from '../../src/catalogue/read.ts';
import { lint } from '../../src/lint/lint.ts';
import { defaultOptions } from '../../src/options.ts';
import type { Report } from '../../src/prove/report.ts';
import { type LoadedSchema, loadSchema } from '../schemas/load.ts';
import { checksum, found, proveAt, withConnection } from './proving.ts';

const schemas = {} as Record<'pitfalls' | 'corrected', LoadedSchema>;
const reports = {} as Record<'pitfalls' | 'corrected', Report>;

beforeAll(async () => {
  for (const name of ['pitfalls', 'corrected'] as const) {
    schemas[name] = await loadSchema(name);
    reports[name] = await proveAt(schemas[name].superUrl, { role: schemas[name].roles.runtime });
  }
});

afterAll(() => Promise.all(Object.values(schemas).map((schema) => schema.drop())));

describe('the corrected twin', () => {
  test('lets nothing through', () => {
    expect(reports.corrected.findings).toEqual([]);
    expect(reports.corrected.unfilled).toEqual([]);
    expect(reports.corrected.attempts.filter(({ outcome }) => outcome === 'got through')).toEqual([]);
  });

  test('shows every tenant its own row of every table, and takes its own changes', () => {
    const { controls, tables } = reports.corrected;
    expect(controls.filter(({ worked }) => !worked)).toEqual([]);
    expect(controls.filter(({ what }) => what === 'read own row')).toHaveLength(tables);
  });

  test('is tried as another tenant, with an empty one, with none, on a used connection and after a rollback [A-170, A-173]', () => {
    const { attempts } = reports.corrected;
    const as = (name: string) => new Set(attempts.filter((one) => one.as === name).map(({ table }) => table));
    for (const name of [
      'another tenant',
      'an empty tenant',
      'no tenant (fresh connection)',
      'no tenant (connection reused)',
      'no tenant (after a rollback)',
    ]) {
      expect(as(name)).toContain('shop.p02_plain');
      expect(as(name).size).toBeGreaterThan(30);
    }
  });

  test('a fresh connection has never heard of the setting, and a used one has an empty one [P-05]', () => {
    const told = (as: string) =>
      reports.corrected.attempts.find((one) => one.table === 'shop.p05_empty' && one.as === as)!.detail;
    expect(told('no tenant (fresh connection)')).toMatch(/unrecognized configuration parameter/);
    expect(told('no tenant (connection reused)')).toMatch(/invalid input syntax for type uuid: ""/);
  });
});

describe('the schema with every pitfall', () => {
  const object = (name: string) => found(reports.pitfalls).filter((one) => one.includes(name));

  test.each([
    ['P-01/may-become', () => `role ${schemas.pitfalls.roles.runtime}`],
    ['P-01/owns-table', () => 'shop.p01_owned'],
    ['P-02/no-rls', () => 'shop.p02_plain'],
    ['P-02/unforced-rls', () => 'shop.p02_unforced'],
    ['P-02/open-partition', () => 'shop.p02_partition'],
    ['P-07/session-tenant', () => 'function shop.p07_use_tenant(tenant uuid)'],
    ['P-08/foreign-key-without-tenant', () => 'constraint p08_orders_user on shop.p08_orders'],
    ['P-09/cascade-without-tenant', () => 'constraint p09_orders_user on shop.p09_orders'],
    ['P-10/key-without-tenant', () => 'constraint p10_accounts_pkey on shop.p10_accounts'],
    ['P-10/key-without-tenant', () => 'constraint p10_accounts_email on shop.p10_accounts'],
    ['P-10/key-without-tenant', () => 'index shop.p10_accounts_phone'],
    ['P-11/open-check', () => 'policy tenant_isolation on shop.p11_open_check'],
    ['P-12/right-beyond-policies', () => 'shop.p12_truncate'],
    ['P-13/view-of-owner', () => 'shop.p13_view'],
    ['P-13/materialised-view', () => 'shop.p13_summary'],
    ['P-14/definer-bypasses', () => 'function shop.p14_all_items()'],
    ['P-16/leakproof', () => 'function shop.p16_peek(value text)'],
    ['P-19/readable-statistics', () => 'pg_catalog.pg_statistic'],
    ['P-21/open-policy', () => 'policy everything on shop.p21_true'],
    ['P-21/open-policy', () => 'policy published on shop.p21_widened'],
    ['P-21/policies-off', () => 'shop.p21_off'],
    ['P-22/undecided-table', () => 'shop.p22_notes'],
  ])('%s is used', (rule, name) => {
    expect(found(reports.pitfalls)).toContain(`${rule} ${name()}`);
  });

  test('tables whose own tenant sees nothing are not called safe', () => {
    expect(object('shop.p21_none')).toEqual(['P-00/not-proved shop.p21_none']);
    expect(object('shop.p21_other_role')).toEqual(['P-00/not-proved shop.p21_other_role']);
  });

  test('what is right but for another pitfall is not named', () => {
    for (const name of [
      'p03_silent',
      'p05_empty',
      'p11_no_check',
      'p18_by_user',
      'p20_tickets',
      'p24_per_row',
    ])
      expect(object(name)).toEqual([]);
  });

  test('each finding has four texts, and the linter’s fix where it has the rule', async () => {
    const options = { ...defaultOptions, role: schemas.pitfalls.roles.runtime };
    const linted = await withConnection(schemas.pitfalls.superUrl, async (client) =>
      lint(await readCatalogue(client, options), options),
    );
    for (const finding of reports.pitfalls.findings) {
      expect(Object.keys(finding)).toEqual(['rule', 'object', 'risk', 'fix']);
      const known = linted.find(({ rule, object }) => rule === finding.rule && object === finding.object);
      if (!finding.rule.startsWith('P-00/')) expect(finding.fix).toBe(known?.fix);
    }
  });
});

test.each(['pitfalls', 'corrected'] as const)('nothing stays in %s', async (name) => {
  const before = await checksum(schemas[name]);
  await proveAt(schemas[name].superUrl, { role: schemas[name].roles.runtime });
  expect(await checksum(schemas[name])).toBe(before);
});
