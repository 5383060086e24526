import type { Table } from '../catalogue/catalogue.ts';
import type { Finding } from '../findings.ts';
import { nameOf, quoted } from '../lint/names.ts';
import type { Schema } from '../lint/schema.ts';
import { isolation } from '../lint/tables.ts';
import type { Attempt } from './report.ts';

/** What lets an attempt through: the linter's word for it where it has one. */
export interface Breach {
  /** Ids of rules, the likeliest first; the first is used when the linter has found none of them. */
  rules: string[];
  /** As PostgreSQL prints it. */
  object: string;
  fix: string;
}

/**
 * A finding for each thing that let attempts through. Where the linter found the same its object and its fix are
 * taken, so that both say one thing; the risk is what was done.
 */
export function findingsOf(breaches: { attempt: Attempt; breach: Breach }[], linted: Finding[]): Finding[] {
  const groups = new Map<string, { finding: Finding; done: Map<string, Set<string>> }>();
  for (const { attempt, breach } of breaches) {
    const known = breach.rules
      .map((rule) =>
        linted.find((finding) => finding.rule === rule && isAbout(finding.object, breach.object)),
      )
      .find((finding) => finding !== undefined);
    const finding = known ?? { rule: breach.rules[0]!, object: breach.object, risk: '', fix: breach.fix };
    const key = `${finding.rule} ${finding.object}`;
    const group = groups.get(key) ?? { finding, done: new Map() };
    groups.set(key, group);
    const whats = group.done.get(attempt.as) ?? new Set();
    group.done.set(attempt.as, whats.add(attempt.what));
  }
  return [...groups.values()]
    .map(({ finding: { rule, object, fix }, done }) => ({ rule, object, risk: sentence(done), fix }))
    .sort((a, b) => a.rule.localeCompare(b.rule) || a.object.localeCompare(b.object));
}

function isAbout(object: string, name: string): boolean {
  return object === name || object.endsWith(` on ${name}`) || object.startsWith(`${name}.`);
}

/** Who did what; those who did the same are named together. */
function sentence(done: Map<string, Set<string>>): string {
  const groups = new Map<string, string[]>();
  for (const [as, whats] of done) {
    // Ways of the same are one: `read (count)`, `take the other’s value (key), insert`.
    const list = [...whats].map((what) => what.replace(/ \(.*$/, '').replace(/ after set role$/, ''));
    const key = [...new Set(list)].join(', ');
    groups.set(key, [...(groups.get(key) ?? []), as]);
  }
  const parts = [...groups].map(([whats, who]) => `as ${who.join(', as ')}: ${whats}`);
  return `another tenant's row was reached: ${parts.join('; ')}`;
}

/** The finding for what could not be tried: nothing is known of it, so it is not said to be safe. */
export function notProved(object: string, reason: string, linted: Finding[]): Finding {
  // Where no policy lets anybody in, the linter knows which one is missing.
  const missing = linted.find((finding) => finding.object === object && /^P-21\/no-/.test(finding.rule));
  return {
    rule: 'P-00/not-proved',
    object,
    risk: `nothing is proved about it: ${reason}`,
    fix:
      missing?.fix ??
      'Read the reason: give the role that prove connects as what it lacks, put rows of two tenants there, or name the table under "shared" when its rows are everybody\'s.',
  };
}

/** What lets rows of a table be reached by its own name. `writing`: they could be written, and not read. */
export function rowBreach(schema: Schema, table: Table, kind: 'any' | 'write' | 'no tenant'): Breach {
  const { role } = schema.catalogue;
  const name = nameOf(table.tenantColumn ? table : rootOf(schema, table));
  const runtime = `role ${quoted(role.name)}`;
  const mend = isolation(schema, { ...table, tenantColumn: table.tenantColumn ?? 'tenant_id' });
  const on = `alter table ${name} enable row level security;\nalter table ${name} force row level security;`;
  if (role.superuser || role.bypassRls) {
    return {
      rules: [role.superuser ? 'P-01/superuser' : 'P-01/bypass-rls'],
      object: runtime,
      fix: `alter role ${quoted(role.name)} nosuperuser nobypassrls;`,
    };
  }
  const breach = (rules: string[], fix: string): Breach => ({ rules, object: name, fix });
  if (!table.rls) {
    if (table.kind === 'partition' && table.tenantColumn) return breach(['P-02/open-partition'], on);
    if (!table.tenantColumn) {
      return breach(
        ['P-22/undecided-table'],
        `Add a tenant column with a policy, or name the table under "shared" with the reason why its rows are everybody's.`,
      );
    }
    const has = schema.policiesOf(table).length > 0;
    return has ? breach(['P-21/policies-off'], on) : breach(['P-02/no-rls'], `${on}\n${mend}`);
  }
  if (!table.forced && table.owner === role.name) {
    return breach(['P-02/unforced-rls'], `alter table ${name} force row level security;`);
  }
  const decide = `Let every policy compare with the tenant: ${mend}`;
  if (kind === 'no tenant') {
    return breach(['P-05/open-without-tenant', 'P-21/open-policy', 'P-11/open-check'], decide);
  }
  const policies = ['P-21/open-policy', 'P-11/open-check', 'P-11/no-check', 'P-22/undecided-table'];
  return breach(kind === 'write' ? ['P-11/open-check', ...policies] : policies, decide);
}

function rootOf(schema: Schema, table: Table): Table {
  const parent = table.parents.map((id) => schema.table(id)).find((one) => one?.kind === 'partitioned');
  return parent ? rootOf(schema, parent) : table;
}
