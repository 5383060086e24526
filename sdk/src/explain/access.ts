import type { Catalogue, Policy, Role, Table } from '../catalogue/catalogue.ts';
import { quoted } from '../lint/names.ts';

export const commands = ['select', 'insert', 'update', 'delete'] as const;

/** What a role may do with a table by one command. */
export interface Access {
  command: (typeof commands)[number];
  /** `all`: no policy is asked. `none`: refused, or no row passes. `some`: the rows that the policies let through. */
  rows: 'all' | 'some' | 'none';
  /** The same in a sentence. */
  sentence: string;
  /** Policies that are asked, by name. */
  policies: string[];
}

/** What privileges and policies let the catalogue's role do with a table, for each command. */
export function explainAccess(catalogue: Catalogue, table: Table): Access[] {
  const { role } = catalogue;
  const exempt = exemption(role, table);
  return commands.map((command) => {
    const refusal = missingPrivilege(catalogue, table, command);
    if (refusal) return { command, rows: 'none', sentence: refusal, policies: [] };
    if (exempt) return { command, rows: 'all', sentence: exempt, policies: [] };
    const asked = catalogue.policies.filter(
      (policy) =>
        policy.table === table.id &&
        (policy.command === 'all' || policy.command === command) &&
        (policy.roles.length === 0 || policy.roles.some((name) => acts(role, name))),
    );
    return explainPolicies(command, asked);
  });
}

function acts(role: Role, name: string): boolean {
  return role.name === name || role.memberOf.includes(name);
}

function exemption(role: Role, table: Table): string | undefined {
  if (role.superuser) return 'every row of every tenant: the role is a superuser, whom no policy binds';
  if (role.bypassRls) return 'every row of every tenant: the role has BYPASSRLS';
  if (!table.rls) return 'every row of every tenant: row-level security is off for the table';
  if (!table.forced && acts(role, table.owner)) {
    return 'every row of every tenant: the role owns the table, and row-level security is not forced';
  }
  return undefined;
}

function missingPrivilege(
  catalogue: Catalogue,
  table: Table,
  command: Access['command'],
): string | undefined {
  if (catalogue.role.superuser) return undefined;
  const has = (kind: string, id: (grant: { id: string; object: string }) => boolean, privilege: string) =>
    catalogue.grants.some((grant) => grant.kind === kind && id(grant) && grant.privilege === privilege);
  if (!has('schema', ({ object }) => object === table.schema || object === quoted(table.schema), 'usage')) {
    return `nothing: the role has no usage of the schema ${table.schema}`;
  }
  const own = ({ id }: { id: string }) => id === table.id;
  if (has('table', own, command) || has('column', own, command)) return undefined;
  return `nothing: the role has no privilege to ${command}`;
}

function explainPolicies(command: Access['command'], asked: Policy[]): Access {
  const policies = asked.map(({ name }) => name);
  const permissive = asked.filter((policy) => policy.permissive);
  if (permissive.length === 0) {
    const sentence = 'no row: row-level security is on, and no policy lets the role through';
    return { command, rows: 'none', sentence, policies };
  }
  const say = (side: 'using' | 'check') => {
    const either = [...new Set(permissive.map((policy) => condition(policy, side)))];
    const always = asked
      .filter((policy) => !policy.permissive)
      .map((policy) => condition(policy, side))
      .filter((bound) => bound !== anyRow && !(either.length === 1 && either[0] === bound));
    const joined = either.length > 1 ? `either ${either.join(' or ')}` : either[0]!;
    return `rows for which ${[joined, ...new Set(always)].join(', and always ')}`;
  };
  const [reads, writes] = [say('using'), say('check')];
  const both = reads === writes ? reads : `${reads}; afterwards ${writes}`;
  const sentence = command === 'insert' ? writes : command === 'update' ? both : reads;
  return { command, rows: 'some', sentence, policies };
}

const anyRow = 'nothing is asked';

// Without a check of its own a policy checks what it shows.
function condition(policy: Policy, side: 'using' | 'check'): string {
  const expression = side === 'check' ? (policy.check ?? policy.using) : policy.using;
  return expression === undefined ? anyRow : inWords(expression);
}

const forms: [form: RegExp, words: string][] = [
  [/^("?[\w$]+"?) = \(select \(?tenant\.id\(\)\)?\)$/, 'is the tenant of the token'],
  [/^("?[\w$]+"?) = tenant\.id\(\)$/, 'is the tenant of the token, asked anew for each row'],
];

/** An expression of a policy in words, where it is one of the kit's; else as it stands, without casts to text. */
function inWords(expression: string): string {
  if (expression === 'true') return anyRow;
  const short = expression
    .replace(/^\((.*)\)$/s, '$1')
    .replace(/\s+/g, ' ')
    .replaceAll('( SELECT ', '(select ')
    .replace(/ AS ("[^"]+"|\w+)(?=\))/g, '')
    .replaceAll('::text', '');
  for (const [form, words] of forms) {
    const column = form.exec(short)?.[1];
    if (column !== undefined) return `${column} ${words}`;
  }
  return short;
}
