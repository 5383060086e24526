import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import type { Database } from './pool.ts';
import {
  globalKeys,
  namedPolicies,
  ownTenant,
  policiesOfTables,
  roleRules,
  tableRules,
  tablesWithoutTenant,
  tenantTables,
} from './protection-rules.ts';
import { findVersionProblem } from './server-version.ts';

/**
 * What is wrong with the protection of the database that the pool is connected to, as sentences that name the table, policy
 * or role; empty when nothing is. The server does not start on a problem. Reads catalogues only.
 */
export async function checkProtection(db: Database): Promise<string[]> {
  return [...(await checkServer(db)), ...(await checkRuntimeRole(db)), ...(await checkTables(db))];
}

async function checkServer({ pool }: Database): Promise<string[]> {
  const { rows } = await pool.query<{ version: number }>(
    "select current_setting('server_version_num')::int as version",
  );
  const problem = findVersionProblem(rows[0]!.version);
  return problem === undefined ? [] : [problem];
}

/** The part of `checkProtection` about the role that the pool logs in as. */
export async function checkRuntimeRole({ pool }: Database): Promise<string[]> {
  const { rows } = await pool.query<{ problem: string }>(roleRules);
  return rows.map(({ problem }) => problem);
}

/** The part of `checkProtection` about tables, policies, keys, views and functions of the schema public. */
export async function checkTables({ pool }: Database): Promise<string[]> {
  const { rows } = await pool.query<{ problem: string }>(tableRules, [
    Object.keys(tablesWithoutTenant),
    Object.keys(globalKeys),
  ]);
  const policies = await pool.query<PolicyRow>(policiesOfTables);
  return [...rows.map(({ problem }) => problem), ...findPolicyProblems(policies.rows)];
}

interface PolicyRow {
  table: string;
  /** Null, as all that follows, for a table without any. */
  policy: string | null;
  command: '*' | 'r' | 'a' | 'w' | 'd';
  permissive: boolean;
  for_all_roles: boolean;
  using: string | null;
  check: string | null;
}

function findPolicyProblems(rows: PolicyRow[]): string[] {
  // A restrictive policy only narrows what the others let through.
  const permissive = rows.filter(({ policy, permissive }) => policy !== null && permissive);
  const wider = permissive.flatMap((row) => {
    const problem = findPolicyProblem(row);
    return problem === undefined ? [] : [`table ${row.table}: policy ${row.policy} ${problem}`];
  });
  const commands = { r: 'select', a: 'insert', w: 'update', d: 'delete' };
  const uncovered = [...new Set(rows.map(({ table }) => table))].flatMap((table) =>
    Object.entries(commands)
      .filter(
        ([command]) =>
          !permissive.some(
            (row) =>
              row.table === table && row.for_all_roles && (row.command === '*' || row.command === command),
          ),
      )
      .map(([, name]) => `table ${table}: no policy for ${name}`),
  );
  return [...wider, ...uncovered];
}

function findPolicyProblem({ table, policy, command, using, check }: PolicyRow): string | undefined {
  const named = namedPolicies.find((one) => one.table === table && one.policy === policy);
  if (named) {
    const same =
      named.command === command && matches(using, named.using) && matches(check, named.check ?? null);
    return same ? undefined : `is not what its name stands for (using ${using}, check ${check})`;
  }
  if (command !== 'a' && !matches(using, ownTenant)) {
    return `does not limit rows to the tenant (using ${using})`;
  }
  if (check === null && (command === '*' || command === 'a' || command === 'w')) {
    return 'has no WITH CHECK';
  }
  return check === null || matches(check, ownTenant)
    ? undefined
    : `does not limit what is written to the tenant (check ${check})`;
}

/** PostgreSQL prints an expression with casts, aliases and parentheses of its own. */
function matches(printed: string | null, expected: string | null): boolean {
  const plain = (text: string) => text.toLowerCase().replaceAll(/ as "?\w+"?|::\w+|[\s()]/g, '');
  return printed === null || expected === null ? printed === expected : plain(printed) === plain(expected);
}

/** One row of tenant A per table; the triggers fill the directory and, once constraints are immediate, config_changes. */
const sampleRows = (slug: string) => [
  `insert into tenants (tenant_id, slug, name) values (current_tenant_id(), '${slug}', 'Probe')`,
  `insert into tenant_domains (domain) values ('${slug}.invalid')`,
  `insert into roles (name) values ('probe')`,
  `insert into users (email) values ('probe@${slug}.invalid')`,
  `insert into user_roles (user_id, role_name) select id, 'probe' from users`,
  `insert into known_devices (user_id, secret_hash, created_at, last_seen_at) select id, sha256('probe'), now(), now() from users`,
  `insert into clients (client_id, client_name, grant_types, token_endpoint_auth_method) values ('${slug}', 'Probe', '{}', 'none')`,
  `insert into client_secrets (client_id, secret_hash) values ('${slug}', sha256('probe'))`,
  `insert into resource_servers (identifier, name) values ('https://${slug}.invalid', 'Probe')`,
  `insert into signing_keys (kid, alg, public_jwk, sealed_private_jwk) values ('probe', 'ES256', '{}', '')`,
  `insert into server_secrets (name, sealed_secret) values ('dpop_nonce', '')`,
  `insert into protocol_store (key, model, sealed_payload, expires_at) values (sha256('${slug}'), 'Probe', '', now())`,
  `insert into sessions (uid_key, key, sealed_payload, expires_at, ends_at) values (sha256('${slug}'), sha256('${slug}'), '', now(), now())`,
  `insert into mails (kind, sealed_message) values ('probe', '')`,
  'set constraints all immediate',
];

/** What every node may read without a tenant. */
const readableByAll = ['config_changes'];
/** Read before the tenant is known, this shows nothing instead of raising. */
const silentWithoutTenant = ['directory'];

/**
 * Tries, in one transaction that is rolled back, what must not work: as tenant B to read, change, delete and add rows of
 * tenant A in every table with a tenant_id, as A to give a row to B, and to read without a tenant. Gives a sentence for each
 * attempt that worked; empty when none did.
 */
export async function probeIsolation({ pool }: Database): Promise<string[]> {
  const client = await pool.connect();
  const problems: string[] = [];
  try {
    await client.query('begin');
    const { rows } = await client.query<{ relname: string }>(
      `select relname from (${tenantTables}) as t order by 1`,
    );
    const tables = rows.map(({ relname }) => relname);
    const [a, b] = [randomUUID(), randomUUID()];

    // A policy is asked once a row is met, and only this table has rows in every database.
    problems.push(...(await readWithoutTenant(client, ['tenants'])));
    await setTenant(client, a);
    for (const statement of sampleRows(`probe-${randomUUID().slice(0, 18)}`)) {
      const code = await run(client, statement);
      if (code !== undefined) {
        return [...problems, `a tenant cannot write its own rows (SQLSTATE ${code}): ${statement}`];
      }
    }
    for (const table of tables) {
      const own = await attempt(
        client,
        `select from ${client.escapeIdentifier(table)} where tenant_id = '${a}'`,
      );
      const moved = await attempt(
        client,
        `update ${client.escapeIdentifier(table)} set tenant_id = '${b}' where tenant_id = '${a}'`,
      );
      if (own.count > 0 && moved.code !== refused) {
        problems.push(`table ${table}: a tenant can give its rows to another`);
      }
    }
    await setTenant(client, b);
    for (const table of tables) {
      problems.push(...(await crossOver(client, table, a)));
    }
    await setTenant(client, '');
    return [...problems, ...(await readWithoutTenant(client, tables))];
  } finally {
    await client.query('rollback').then(
      () => client.release(),
      (error) => client.release(error),
    );
  }
}

const refused = '42501';

async function setTenant(client: pg.PoolClient, tenant_id: string) {
  await client.query("select set_config('app.current_tenant_id', $1, true)", [tenant_id]);
}

/** Undefined when the statement worked, else the SQLSTATE that it failed with. */
async function run(client: pg.PoolClient, statement: string): Promise<string | undefined> {
  return client.query(statement).then(
    () => undefined,
    (error: { code?: string }) => error.code ?? '',
  );
}

/** The outcome of a statement that leaves nothing behind: how many rows it met, or the SQLSTATE that it failed with. */
async function attempt(client: pg.PoolClient, statement: string): Promise<{ count: number; code?: string }> {
  await client.query('savepoint probe');
  try {
    const { rowCount } = await client.query(statement);
    return { count: rowCount ?? 0 };
  } catch (error) {
    return { count: 0, code: (error as { code?: string }).code ?? '' };
  } finally {
    await client.query('rollback to savepoint probe');
  }
}

async function crossOver(client: pg.PoolClient, table: string, other: string): Promise<string[]> {
  const name = client.escapeIdentifier(table);
  const ofOther = `where tenant_id = '${other}'`;
  const statements = [
    ...(readableByAll.includes(table) ? [] : [['read', `select from ${name} ${ofOther}`]]),
    ['change', `update ${name} set tenant_id = tenant_id ${ofOther}`],
    ['delete', `delete from ${name} ${ofOther}`],
  ] as [string, string][];
  const problems: string[] = [];
  for (const [verb, statement] of statements) {
    if ((await attempt(client, statement)).count > 0) {
      problems.push(`table ${table}: a tenant can ${verb} rows of another`);
    }
  }
  // The policy is asked before any constraint, so the other columns do not matter.
  const added = await attempt(client, `insert into ${name} (tenant_id) values ('${other}')`);
  if (added.code !== refused) {
    problems.push(`table ${table}: a tenant can add rows to another`);
  }
  return problems;
}

async function readWithoutTenant(client: pg.PoolClient, tables: string[]): Promise<string[]> {
  const problems: string[] = [];
  for (const table of tables.filter((name) => !readableByAll.includes(name))) {
    const { count, code } = await attempt(client, `select from ${client.escapeIdentifier(table)}`);
    if (count > 0 || (code !== refused && !silentWithoutTenant.includes(table))) {
      problems.push(`table ${table}: a query without a tenant does not raise`);
    }
  }
  return problems;
}
