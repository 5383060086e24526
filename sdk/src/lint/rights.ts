import type { Grant } from '../catalogue/catalogue.ts';
import { grantee, nameOf, quoted } from './names.ts';
import type { Rule } from './rule.ts';
import type { Schema } from './schema.ts';

const beyondPolicies = ['truncate', 'references', 'trigger', 'maintain'];

/** One grantee, all that it got of these privileges on one object. */
function byGrantee(grants: Grant[], owner?: string): { name: string; privileges: string[] }[] {
  const names = [...new Set(grants.flatMap(({ through }) => through))].filter((name) => name !== owner);
  return names.map((name) => ({
    name,
    privileges: [
      ...new Set(grants.filter(({ through }) => through.includes(name)).map(({ privilege }) => privilege)),
    ],
  }));
}

export const rightRules: Rule[] = [
  {
    id: 'P-12/right-beyond-policies',
    title: 'A right that no policy stops',
    why: 'TRUNCATE, REFERENCES, TRIGGER and MAINTAIN act on the table and not on rows that are seen.',
    level: 'error',
    find: ({ catalogue }) =>
      catalogue.tables.flatMap((table) => {
        const grants = catalogue.grants.filter(
          ({ id, kind, privilege }) =>
            id === table.id && (kind === 'table' || kind === 'column') && beyondPolicies.includes(privilege),
        );
        const held = byGrantee(grants, table.owner);
        if (held.length === 0) return [];
        const all = [...new Set(held.flatMap(({ privileges }) => privileges))];
        return [
          {
            object: nameOf(table),
            risk: `the runtime role has ${all.join(', ')} here, which no policy stops${all.includes('truncate') ? ': one statement deletes the rows of all tenants' : ''}`,
            fix: held
              .map(
                ({ name, privileges }) =>
                  `revoke ${privileges.join(', ')} on ${nameOf(table)} from ${grantee(name)};`,
              )
              .join('\n'),
          },
        ];
      }),
  },
  {
    id: 'P-13/view-of-owner',
    title: 'A view reads with its owner’s rights',
    why: 'Policies then bind the owner and not who asks; without security_invoker a superuser’s view shows all.',
    level: 'error',
    find: (schema) =>
      reachedViews(schema, false)
        .filter(({ securityInvoker }) => !securityInvoker)
        .map((view) => ({
          object: nameOf(view),
          risk: schema.bypasses(view.owner)
            ? `it reads with the rights of ${quoted(view.owner)}, whom no policy binds: everybody sees all tenants`
            : `it reads with the rights of ${quoted(view.owner)}: policies and grants for the runtime role do not count`,
          fix: `alter view ${nameOf(view)} set (security_invoker = true);`,
        })),
  },
  {
    id: 'P-13/materialised-view',
    title: 'A materialised view holds rows of tenants',
    why: 'It is a copy, and policies cannot be put on it.',
    level: 'error',
    find: (schema) =>
      reachedViews(schema, true).map((view) => {
        const grants = schema.catalogue.grants.filter(({ id }) => id === view.id);
        const names = byGrantee(grants, view.owner).map(({ name }) => grantee(name));
        return {
          object: nameOf(view),
          risk: 'it holds a copy of rows of all tenants, and policies cannot be put on it',
          fix:
            names.length > 0
              ? `revoke all on ${nameOf(view)} from ${names.join(', ')};`
              : 'Keep the sums in a table with a tenant and policies, or ask for them through a view with security_invoker.',
        };
      }),
  },
  {
    id: 'P-19/readable-statistics',
    title: 'The runtime role reads the statistics of all tables',
    why: 'They hold the most frequent values of every column, whoever’s they are.',
    level: 'error',
    find: ({ catalogue }) =>
      catalogue.grants
        .filter(
          ({ object, privilege }) =>
            privilege === 'select' && /^pg_catalog\.pg_(statistic|statistic_ext_data)$/.test(object),
        )
        .filter(({ through }) => through.length > 0 && !catalogue.role.superuser)
        .map(({ object, through }) => ({
          object,
          risk: 'it holds frequent values of every column of all tenants, and no policy is on it',
          fix: through.map((name) => `revoke select on ${object} from ${grantee(name)};`).join('\n'),
        })),
  },
];

/** Views of tenants' rows that the runtime role may ask. */
function reachedViews(schema: Schema, materialised: boolean) {
  return schema.catalogue.views.filter(
    (view) =>
      view.materialised === materialised &&
      schema.may(view.id, 'select', 'insert', 'update', 'delete') &&
      schema.reads(view).some((id) => schema.isGuarded(id)),
  );
}
