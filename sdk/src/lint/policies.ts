import type { Policy, Table } from '../catalogue/catalogue.ts';
import { altered, byHand, type Held, sides, surviving } from './mend-policy.ts';
import { nameOf, policyOn, quoted } from './names.ts';
import type { Rule } from './rule.ts';
import type { Schema } from './schema.ts';
import { isolation } from './tables.ts';
import { replaced } from './tokens.ts';

/** The policies of all tables but those that are shared. */
function held(schema: Schema): Held[] {
  return schema.catalogue.policies.flatMap((policy) => {
    const table = schema.table(policy.table);
    return table && !schema.isShared(table) ? [{ policy, table }] : [];
  });
}

export const policyRules: Rule[] = [
  {
    id: 'P-05/empty-setting',
    title: 'An empty setting is not treated as none',
    why: 'After its first transaction a connection has the setting as an empty text, and no longer as null.',
    level: 'warning',
    find: (schema) =>
      held(schema)
        .filter(({ policy }) => sides(policy).some((side) => schema.read(side).emptyTrap))
        .map(({ policy, table }) => ({
          object: policyOn(policy, table),
          risk: 'on a connection that was used before, the setting is empty and not null: the same query without a tenant then gives an error, or the rows of an empty tenant',
          fix: altered({ policy, table }, (sql) => surviving(schema, sql)) ?? byHand,
        })),
  },
  {
    id: 'P-11/no-check',
    title: 'A policy does not say what may be written',
    why: 'What is seen then decides what is written, until somebody widens what is seen.',
    level: 'warning',
    find: (schema) =>
      held(schema)
        .filter(
          ({ policy }) =>
            policy.permissive &&
            policy.using !== undefined &&
            policy.check === undefined &&
            /^(all|update)$/.test(policy.command),
        )
        .filter(({ policy, table }) => !schema.isBounded(policy, table, policy.command, 'check'))
        .map(({ policy, table }) => ({
          object: policyOn(policy, table),
          risk: 'what may be written follows from what may be seen: who widens the one lets rows move to other tenants',
          fix: `alter policy ${quoted(policy.name)} on ${nameOf(table)} with check (${policy.using});`,
        })),
  },
  {
    id: 'P-11/open-check',
    title: 'A policy lets rows be written for any tenant',
    why: 'A tenant adds rows to another, or moves its own there.',
    level: 'error',
    find: (schema) =>
      held(schema)
        .filter(
          ({ policy, table }) =>
            policy.permissive &&
            policy.check !== undefined &&
            (policy.using === undefined || schema.tellsApart(policy.using, table)) &&
            !schema.tellsApart(policy.check, table) &&
            !isBoundedFor(schema, policy, table, 'check'),
        )
        .map(({ policy, table }) => ({
          object: policyOn(policy, table),
          risk: 'a tenant may write rows that belong to another, or move its own there',
          fix:
            policy.using !== undefined || table.tenantColumn !== undefined
              ? `alter policy ${quoted(policy.name)} on ${nameOf(table)} with check (${policy.using ?? ownTenant(schema, table)});`
              : byHand,
        })),
  },
  {
    id: 'P-18/role-policy',
    title: 'A policy asks for the role',
    why: '`set role`, a definer function and a cached plan change who that is.',
    level: 'warning',
    find: (schema) =>
      held(schema)
        .filter(({ policy }) => sides(policy).some((side) => schema.read(side).role))
        .map(({ policy, table }) => ({
          object: policyOn(policy, table),
          risk: '"set role" and functions with their owner’s rights change the answer, and a plan may have been made for another role',
          fix:
            table.tenantColumn !== undefined
              ? altered({ policy, table }, () => ownTenant(schema, table))!
              : byHand,
        })),
  },
  {
    id: 'P-21/open-policy',
    title: 'A policy shows rows whoever asks',
    why: 'Permissive policies add up: the widest of them decides.',
    level: 'error',
    find: (schema) =>
      held(schema)
        .filter(
          ({ policy, table }) =>
            table.rls &&
            policy.permissive &&
            policy.using !== undefined &&
            schema.policiesFor(table).includes(policy) &&
            !schema.tellsApart(policy.using, table) &&
            !/^\(*(false|null(::boolean)?)\)*$/i.test(policy.using) &&
            !isBoundedFor(schema, policy, table, 'using'),
        )
        .map(({ policy, table }) => ({
          object: policyOn(policy, table),
          risk: 'it shows rows without asking whose they are, and what one permissive policy shows no other one hides',
          fix: table.tenantColumn
            ? `create policy tenant_boundary on ${nameOf(table)} as restrictive using (${ownTenant(schema, table)}) with check (${ownTenant(schema, table)});`
            : byHand,
        })),
  },
  {
    id: 'P-21/policy-grants-nothing',
    title: 'A policy has no condition',
    why: 'A permissive policy without one lets nothing through, a restrictive one holds nothing back.',
    level: 'warning',
    find: (schema) =>
      held(schema)
        .filter(({ policy }) => sides(policy).length === 0)
        .map(({ policy, table }) => ({
          object: policyOn(policy, table),
          risk: policy.permissive
            ? 'it grants nothing: no row is seen or written by it. It has probably lost its condition, and the next remedy may be one that is too wide'
            : 'it restricts nothing. It has probably lost its condition, and the other policies decide alone',
          fix: table.tenantColumn ? conditionFor(schema, { policy, table }) : byHand,
        })),
  },
  {
    id: 'P-21/policies-off',
    title: 'Policies are there and switched off',
    why: 'A policy counts only where row-level security is enabled.',
    level: 'error',
    find: (schema) =>
      schema.catalogue.tables
        .filter((table) => !table.rls && !schema.isShared(table) && schema.policiesOf(table).length > 0)
        .map((table) => ({
          object: nameOf(table),
          risk: 'its policies count for nothing while row-level security is off: every query sees all tenants',
          fix: `alter table ${nameOf(table)} enable row level security;\nalter table ${nameOf(table)} force row level security;`,
        })),
  },
  {
    id: 'P-21/no-policies',
    title: 'Row-level security without a policy',
    why: 'Nobody sees a row, until somebody switches the security off to make it work.',
    level: 'warning',
    find: (schema) =>
      schema.catalogue.tables
        .filter(
          (table) =>
            table.rls &&
            table.kind !== 'partition' &&
            schema.policiesOf(table).length === 0 &&
            schema.may(table.id, 'select', 'insert', 'update', 'delete'),
        )
        .map((table) => ({
          object: nameOf(table),
          risk: 'the runtime role has rights here and no policy lets it see a row: the next remedy may be to switch the security off',
          fix: table.tenantColumn ? isolation(schema, table) : byHand,
        })),
  },
  {
    id: 'P-21/no-policy-for-role',
    title: 'The policies are for other roles',
    why: 'The runtime role sees nothing, or what a policy for all shows by mistake.',
    level: 'warning',
    find: (schema) =>
      schema.catalogue.tables
        .filter(
          (table) =>
            table.rls &&
            schema.policiesOf(table).some(({ permissive }) => permissive) &&
            !schema.policiesFor(table).some(({ permissive }) => permissive) &&
            schema.may(table.id, 'select', 'insert', 'update', 'delete'),
        )
        .map((table) => {
          const policy = schema.policiesOf(table).find(({ permissive }) => permissive)!;
          return {
            object: nameOf(table),
            risk: 'no policy is for the runtime role: it sees no row, though it has rights on the table',
            fix: `alter policy ${quoted(policy.name)} on ${nameOf(table)} to ${[...policy.roles, schema.catalogue.role.name].map(quoted).join(', ')};`,
          };
        }),
  },
  {
    id: 'P-24/per-row-policy',
    title: 'A policy asks for the tenant at every row',
    why: 'In a sub-select it is asked once per query, and the index on the tenant can be used.',
    level: 'note',
    find: (schema) =>
      held(schema).flatMap(({ policy, table }) => {
        const fix = altered({ policy, table }, (sql) => oncePerQuery(schema, table, sql));
        return fix
          ? [
              {
                object: policyOn(policy, table),
                risk: 'the tenant is asked for at every row, which costs more the more rows all tenants have',
                fix,
              },
            ]
          : [];
      }),
  },
];

const ownTenant = (schema: Schema, table: Table) =>
  `${quoted(table.tenantColumn!)} = ${schema.tenantValue(table)}`;

function conditionFor(schema: Schema, { policy, table }: Held): string {
  const own = ownTenant(schema, table);
  const using = policy.command === 'insert' ? '' : ` using (${own})`;
  const check = /^(all|insert|update)$/.test(policy.command) ? ` with check (${own})` : '';
  return `alter policy ${quoted(policy.name)} on ${nameOf(table)}${using}${check};`;
}

/** Whether restrictive policies keep everything that this one allows within the tenant. */
function isBoundedFor(schema: Schema, policy: Policy, table: Table, side: 'using' | 'check'): boolean {
  const commands = {
    using: ['select', 'update', 'delete'] as const,
    check: ['insert', 'update'] as const,
  }[side];
  return commands
    .filter((command) => policy.command === 'all' || policy.command === command)
    .every((command) => schema.isBounded(policy, table, command, side));
}

/** Puts each call that depends on the caller and not on the row into a sub-select. */
function oncePerQuery(schema: Schema, table: Table, sql: string): string {
  const columns = new Set(table.columns.map(({ name }) => name));
  const outside = schema
    .read(sql)
    .calls.filter(
      (call) =>
        !call.inSelect &&
        schema.read(sql.slice(call.start, call.end)).bound &&
        !call.arguments.flat().some(({ kind, text }) => kind !== 'string' && columns.has(text)) &&
        !/^(and|or|not|in|any|all|exists)$/.test(call.name),
    );
  const outermost = outside.filter(
    (call) => !outside.some((other) => other !== call && other.start <= call.start && other.end >= call.end),
  );
  return replaced(
    sql,
    outermost.map(({ start, end }) => ({ start, end, text: `(select ${sql.slice(start, end)})` })),
  );
}
