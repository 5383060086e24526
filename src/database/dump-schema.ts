import type pg from 'pg';

/** Kinds of relations that the dump shows; whoever adds another one teaches it here. */
const tableKind = 'r';
const indexKinds = ['i', 'I'];

const header = `-- The schema as the migrations leave it, to be read first. Generated: "npm run schema" writes it, and a test fails when it is stale.
-- The runtime role is shown as tessera. The schema pgboss is the job queue's own, and stands in migration 0011 as its library gives it.`;

/**
 * The schema public of a migrated database as SQL to read: each table with its columns, constraints, indexes, policies, triggers
 * and the rights of the runtime role, shown as `tessera`; then the functions with their bodies. PostgreSQL 15 to 18 give
 * the same text. Throws on a kind of object that it would leave out.
 */
export async function dumpSchema(client: pg.ClientBase, runtimeRole: string): Promise<string> {
  await client.query('begin');
  try {
    // Decides which names PostgreSQL prints with their schema.
    await client.query("set local search_path = 'public'");
    await refuseUnknownKinds(client);
    const parts = [
      header,
      (await readLines(client, schemaGrants, runtimeRole)).join('\n'),
      ...(await readTables(client, runtimeRole)),
      ...(await readLines(client, functionLines, runtimeRole)),
    ];
    return `${parts.join('\n\n')}\n`;
  } finally {
    await client.query('rollback');
  }
}

async function refuseUnknownKinds(client: pg.ClientBase) {
  const { rows } = await client.query<{ name: string }>(
    `
    select relname as name from pg_class
    where relnamespace = 'public'::regnamespace and relkind <> all ($1)
    union all
    select typname from pg_type
    where typnamespace = 'public'::regnamespace and typrelid = 0 and typelem = 0
    union all
    select proname from pg_proc where pronamespace = 'public'::regnamespace and prokind not in ('f', 'p')`,
    [[tableKind, ...indexKinds]],
  );
  if (rows.length) {
    throw new Error(`the schema dump would leave out ${rows.map(({ name }) => name).join(', ')}`);
  }
}

async function readTables(client: pg.ClientBase, runtimeRole: string): Promise<string[]> {
  const { rows } = await client.query<{
    oid: number;
    name: string;
    columns: string[];
    constraints: string[];
  }>(tableRows);
  const tables: string[] = [];
  for (const { oid, name, columns, constraints } of rows) {
    const body = [...columns, ...constraints].map((line) => `  ${line}`).join(',\n');
    const rest = await readLines(client, tableLines, runtimeRole, oid);
    tables.push([`CREATE TABLE ${name} (\n${body}\n);`, ...rest].join('\n'));
  }
  return tables;
}

async function readLines(client: pg.ClientBase, sql: string, ...values: unknown[]): Promise<string[]> {
  const { rows } = await client.query<{ line: string }>(sql, values);
  return rows.map(({ line }) => line);
}

/** Rights of everybody but the owner; `$1` is the runtime role. */
const grants = (acl: string, owner: string, on: string) => `
  select format('GRANT %s ON %s TO %s;', string_agg(privilege_type, ', ' order by privilege_type collate "C"), ${on},
    case when grantee = 0 then 'PUBLIC' when rolname = $1 then 'tessera' else quote_ident(rolname) end) as line
  from aclexplode(${acl}) left join pg_roles on pg_roles.oid = grantee
  where grantee <> ${owner}
  group by grantee, rolname`;

const schemaGrants = `
  select line from pg_namespace,
    lateral (${grants('nspacl', 'nspowner', "'SCHEMA ' || quote_ident(nspname)")}) as granted
  where nspname = 'public' order by line collate "C"`;

const functionLines = `
  select concat_ws(E'\\n', rtrim(pg_get_functiondef(p.oid), E'\\n') || ';', string_agg(granted.line, E'\\n' order by granted.line collate "C")) as line
  from pg_proc p
  left join lateral (${grants(
    "coalesce(proacl, acldefault('f', proowner))",
    'proowner',
    "format('%s %s', case prokind when 'p' then 'PROCEDURE' else 'FUNCTION' end, p.oid::regprocedure)",
  )}) as granted on true
  where pronamespace = 'public'::regnamespace
  group by p.oid, p.proname
  order by p.proname, p.oid::regprocedure::text collate "C"`;

const tableRows = `
  select c.oid, quote_ident(c.relname) as name,
    array(
      select concat_ws(' ', quote_ident(attname), format_type(atttypid, atttypmod),
        'DEFAULT ' || pg_get_expr(adbin, adrelid, true), case when attnotnull then 'NOT NULL' end)
      from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
      where attrelid = c.oid and attnum > 0 and not attisdropped order by attnum
    ) as columns,
    array(
      select format('CONSTRAINT %I %s', conname, pg_get_constraintdef(oid, true))
      from pg_constraint where conrelid = c.oid and contype in ('p', 'u', 'f', 'c', 'x')
      order by position(contype in 'pufcx'), conname
    ) as constraints
  from pg_class c
  where relnamespace = 'public'::regnamespace and relkind = 'r'
  order by c.relname`;

/** All about one table that stands outside of its parentheses. `$2` is its oid. */
const tableLines = `
  select line from (
    select 1 as part, indexrelid::regclass::text as name, pg_get_indexdef(indexrelid, 0, true) || ';' as line
    from pg_index
    where indrelid = $2 and not exists (select from pg_constraint where conindid = indexrelid and contype in ('p', 'u', 'x'))
    union all
    select 2, '1', format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', oid::regclass) from pg_class where oid = $2 and relrowsecurity
    union all
    select 2, '2', format('ALTER TABLE %s FORCE ROW LEVEL SECURITY;', oid::regclass) from pg_class where oid = $2 and relforcerowsecurity
    union all
    select 3, polname, concat_ws(' ', format('CREATE POLICY %I ON %s', polname, polrelid::regclass),
      case when not polpermissive then 'AS RESTRICTIVE' end,
      'FOR ' || case polcmd when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE' when 'd' then 'DELETE' else 'ALL' end,
      'TO ' || nullif(array_to_string(array(select quote_ident(rolname) from pg_roles where oid = any (polroles) order by 1), ', '), ''),
      'USING (' || pg_get_expr(polqual, polrelid, true) || ')',
      'WITH CHECK (' || pg_get_expr(polwithcheck, polrelid, true) || ')') || ';'
    from pg_policy where polrelid = $2
    union all
    select 4, tgname, pg_get_triggerdef(oid, true) || ';' from pg_trigger where tgrelid = $2 and not tgisinternal
    union all
    select 5, line, line from pg_class c, lateral (${grants('relacl', 'relowner', 'c.oid::regclass')}) as granted where c.oid = $2
    union all
    select 6, line, line from pg_attribute a join pg_class c on c.oid = attrelid,
      lateral (${grants('attacl', 'relowner', "format('%s (%I)', c.oid::regclass, attname)")}) as granted
    where attrelid = $2
  ) as lines
  order by part, name collate "C"`;
