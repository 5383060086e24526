import type { Database } from '#src/database/pool.ts';
import { listContextWords } from '#src/domain/credentials/password-context.ts';
import { judgePassword, passwordRule } from '#src/domain/credentials/password-policy.ts';
import { explainRefusal } from '#src/domain/credentials/password-refusal.ts';
import { type DirectoryKind, findTenantIdInDirectory } from '#src/domain/tenants/directory.ts';
import { ConfigurationError, type ConfigurationErrorCode, formatPath } from './errors.ts';
import type { Section } from './sections.ts';
import type { TenantState } from './state.ts';

/** A section with what the database holds of its tenant, and the tenant's id once it has one. */
export interface Target {
  section: Section;
  tenant_id: string | undefined;
  state: TenantState;
}

interface Problem {
  path: (string | number)[];
  message: string;
}

/**
 * Checks what a file says against itself and the database; the platform's section comes first. Throws a ConfigurationError with
 * all problems: `invalid` for resources, scopes, roles and tenants that do not exist and passwords that may not be chosen;
 * `conflict` when the only trouble is names that are taken.
 */
export async function checkReferences(db: Database, targets: readonly [Target, ...Target[]]): Promise<void> {
  const invalid = targets.flatMap((target) => [
    ...findUnknownResources(target, targets[0]),
    ...findUnknownRoles(target),
  ]);
  const taken: Problem[] = [];
  for (const target of targets) {
    invalid.push(...(await findUnknownTenants(db, target, targets)));
    taken.push(...(await findTakenNames(db, target)));
  }
  for (const target of targets) {
    invalid.push(...(await findWeakPasswords(target)));
  }
  throwProblems(invalid.length > 0 ? 'invalid' : 'conflict', [...invalid, ...taken]);
}

/** Throws a ConfigurationError (`conflict`) that names each client_id and domain of another tenant; it does not say of which. */
export async function checkNames(db: Database, target: Target): Promise<void> {
  throwProblems('conflict', await findTakenNames(db, target));
}

function throwProblems(code: ConfigurationErrorCode, problems: readonly Problem[]) {
  if (problems.length > 0) {
    throw new ConfigurationError(
      code,
      problems.map(({ path, message }) => `${formatPath(path)}: ${message}`),
    );
  }
}

/** A tenant's own resource goes before the platform's of the same name, as at the token endpoint. */
function findUnknownResources({ section, state }: Target, platform: Target): Problem[] {
  const scopesOf = (identifier: string) =>
    [
      section.resources.find((resource) => resource.identifier === identifier),
      state.resources.get(identifier),
      platform.section.resources.find((resource) => resource.identifier === identifier),
      platform.state.resources.get(identifier),
    ].find((resource) => resource !== undefined)?.scopes;

  return section.clients.flatMap((client, index) =>
    client.resources.flatMap(({ identifier, scopes }, position): Problem[] => {
      const path = [...section.path, 'clients', index, 'resources', position];
      const known = scopesOf(identifier);
      if (known === undefined) {
        return [
          {
            path: [...path, 'identifier'],
            message: `${identifier} is no resource of the tenant or the platform`,
          },
        ];
      }
      return scopes.flatMap((scope, place) =>
        known.includes(scope)
          ? []
          : [{ path: [...path, 'scopes', place], message: `${scope} is no scope of ${identifier}` }],
      );
    }),
  );
}

function findUnknownRoles({ section, state }: Target): Problem[] {
  const known = new Set([...section.roles.map(({ name }) => name), ...state.roles.keys()]);
  return section.users.flatMap((user, index) =>
    (user.roles ?? []).flatMap((role, place) =>
      known.has(role)
        ? []
        : [
            {
              path: [...section.path, 'users', index, 'roles', place],
              message: `${role} is no role of the tenant`,
            },
          ],
    ),
  );
}

/** What the file leaves out is as the database has it. */
async function findWeakPasswords({ section, state }: Target): Promise<Problem[]> {
  const rule = passwordRule({ ...state.tenant?.settings, ...section.tenant?.settings });
  const { slug } = section;
  const name = section.tenant?.name ?? state.tenant?.name ?? slug;
  const domains = [...new Set([...section.domains, ...state.domains])];
  const problems: Problem[] = [];
  for (const [index, { password, ...user }] of section.users.entries()) {
    if (password === undefined) {
      continue;
    }
    const known = { name: state.users.get(user.email)?.name, ...user };
    const words = listContextWords({ tenant: { name, slug }, domains, user: known });
    const judgement = await judgePassword(password, { ...rule, words });
    if (!judgement.ok) {
      const path = [...section.path, 'users', index, 'password'];
      problems.push({ path, message: explainRefusal(judgement.reason, rule) });
    }
  }
  return problems;
}

async function findUnknownTenants(
  db: Database,
  { section }: Target,
  targets: readonly Target[],
): Promise<Problem[]> {
  const inFile = new Set(targets.filter(({ section }) => section.tenant).map(({ section }) => section.slug));
  const problems: Problem[] = [];
  for (const [index, { allowed_tenants = [] }] of section.clients.entries()) {
    for (const [place, slug] of allowed_tenants.entries()) {
      if (!inFile.has(slug) && (await findTenantIdInDirectory(db, 'slug', slug)) === undefined) {
        const path = [...section.path, 'clients', index, 'allowed_tenants', place];
        problems.push({ path, message: `${slug} is no tenant` });
      }
    }
  }
  return problems;
}

async function findTakenNames(db: Database, { section, state, tenant_id }: Target): Promise<Problem[]> {
  const names: { kind: DirectoryKind; name: string; path: (string | number)[]; own: boolean }[] = [
    ...section.domains.map((name, index) => ({
      kind: 'domain' as const,
      name,
      path: [...section.path, 'domains', index],
      own: state.domains.has(name),
    })),
    ...section.clients.map(({ client_id }, index) => ({
      kind: 'client' as const,
      name: client_id,
      path: [...section.path, 'clients', index, 'client_id'],
      own: state.clients.has(client_id),
    })),
  ];
  const problems: Problem[] = [];
  for (const { kind, name, path, own } of names) {
    const owner = own ? tenant_id : await findTenantIdInDirectory(db, kind, name);
    // Another run of the same file may have made the tenant since it was looked for.
    const isOwn = owner === (tenant_id ?? (await findTenantIdInDirectory(db, 'slug', section.slug)));
    if (owner !== undefined && !isOwn) {
      problems.push({ path, message: `${name} is taken` });
    }
  }
  return problems;
}
