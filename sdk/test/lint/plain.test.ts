import { expect, test } from '@jest/globals';
import pg from 'pg';
import { readCatalogue } from '../../src/catalogue/read.ts';
import type { Finding } from '../../src/findings.ts';
import { lint } from '../../src/lint/lint.ts';
import { defaultOptions } from '../../src/options.ts';
import { type LoadedSchema, loadSql, schemaSql } from '../schemas/load.ts';

/** What is found in a schema that somebody wrote without the SQL kit. */
async function findingsOf(
  sql: string,
  more: (loaded: LoadedSchema) => string[] = () => [],
): Promise<Finding[]> {
  const loaded = await loadSql(sql, { withKit: false });
  const client = new pg.Client({ connectionString: loaded.superUrl });
  await client.connect();
  try {
    for (const statement of more(loaded)) await client.query(statement);
    const options = { ...defaultOptions, role: loaded.roles.runtime };
    return lint(await readCatalogue(client, options), options);
  } finally {
    await client.end();
    await loaded.drop();
  }
}

const told = (findings: Finding[]) => findings.map(({ rule, object }) => `${rule} ${object}`);

test('finds nothing in a schema that is right without the kit, policies as the requirement names them [P-05, P-24]', async () => {
  expect(told(await findingsOf(schemaSql('plain-corrected')))).toEqual([]);
});

test('asks for no backup role where the owner is a superuser, unless one is there that cannot do it [P-03, P-04]', async () => {
  const ofSuperuser = schemaSql('plain-corrected')
    .replaceAll(/set role :owner;|grant [^;]* to :backup;/g, '')
    .replace('authorization :owner', '')
    .replace('to :runtime, :backup', 'to :runtime')
    // Such an owner's functions are beyond policies.
    .replace('security definer set search_path', 'set search_path');
  expect(told(await findingsOf(ofSuperuser))).toEqual([]);
  const bound = await findingsOf(ofSuperuser, ({ roles }) => [
    `alter role ${roles.backup} nobypassrls`,
    `grant pg_read_all_data to ${roles.backup}`,
  ]);
  expect(bound).toMatchObject([
    { rule: 'P-04/no-backup-role', risk: expect.stringMatching(/pg_dump as rls_backup_\w+ is refused/) },
  ]);
});

test('tells a bound owner of a forced table that nobody can back up or migrate all tenants [P-03, P-04]', async () => {
  const found = await findingsOf(schemaSql('plain-corrected'), ({ roles }) => [
    `alter role ${roles.backup} nobypassrls`,
  ]);
  expect([...new Set(found.map(({ rule }) => rule))]).toEqual([
    'P-03/silent-migration',
    'P-04/no-backup-role',
  ]);
  expect(told(found)).not.toContain('P-03/silent-migration app.settings');
});

test('names each of the 24 numbers in such a schema with every pitfall', async () => {
  const found = await findingsOf(schemaSql('plain-pitfalls'));
  const all = Array.from({ length: 24 }, (_, index) => `P-${String(index + 1).padStart(2, '0')}`);
  expect([...new Set(found.map(({ rule }) => rule.slice(0, 4)))]).toEqual(all);
  const owned = found.find(({ rule }) => rule === 'P-01/owns-table')!;
  expect(owned.fix).toMatch(/^revoke rls_owner_\w+ from rls_runtime_\w+;$/);
  expect(told(found)).toEqual(
    expect.arrayContaining([
      'P-07/session-tenant function app.stay_tenant(t uuid)',
      'P-20/notified-rows function app.tell_order()',
      'P-21/open-policy policy tenant_isolation on app.public_notes',
    ]),
  );
});
