import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { readCatalogue } from '#sdk/src/catalogue/read.ts';
import { applyBaseline, parseBaseline } from '#sdk/src/lint/baseline.ts';
import { defaultOptions } from '#sdk/src/options.ts';
import { prove } from '#sdk/src/prove/prove.ts';
import type { Report } from '#sdk/src/prove/report.ts';
import { createTestDatabase, type TestDatabase } from '#test/support/postgres.ts';

const baseline = parseBaseline(readFileSync(new URL('../../db/rls-baseline.json', import.meta.url), 'utf8'));

let database: TestDatabase;
let report: Report;

beforeAll(async () => {
  database = await createTestDatabase();
  const client = new pg.Client({ connectionString: database.superUrl });
  await client.connect();
  const options = { ...defaultOptions, role: new URL(database.runtimeUrl).username };
  report = await prove(client, await readCatalogue(client, options), options);
  await client.end();
});

afterAll(() => database.drop());

test('the prover of the downstream package gets at nothing here that is not accepted with a reason [A-164, A-178, A-179]', () => {
  expect(applyBaseline(report.findings, baseline).findings).toEqual([]);
});

test('it tried every table that the runtime role may touch, and each tenant reached its own rows', () => {
  expect(report.attempts.length).toBeGreaterThan(1000);
  expect(report.controls.filter(({ worked }) => !worked)).toEqual([]);
  const tried = new Set(report.attempts.map(({ table }) => table));
  expect(
    ['public.users', 'public.sessions', 'public.clients', 'public.mails', 'public.tenants'].filter(
      (table) => !tried.has(table),
    ),
  ).toEqual([]);
});

test('README.md prints what came of it, as of PostgreSQL 18 and within one per cent', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const printed =
    /([\d,]+) attempts, of which ([\d,]+) were refused, ([\d,]+) came to nothing, and ([\d,]+)/.exec(readme)!;
  const [attempts, refused, nothing, through] = printed.slice(1).map((text) => Number(text.replace(',', '')));
  expect(attempts).toBe(refused! + nothing! + through!);
  const count = (outcome: string) => report.attempts.filter((attempt) => attempt.outcome === outcome).length;
  const off = [refused! - count('refused'), nothing! - count('nothing'), through! - count('got through')];
  // Other versions know other ways to try.
  if (report.server.startsWith('18.')) {
    expect(off.filter((difference) => Math.abs(difference) > attempts! / 100)).toEqual([]);
  }
});
