import type { Configuration } from './schema.ts';

type Path = (string | number)[];
type Named = { path: Path; name: string };

/** Names that stand twice in a file where they must be unique: slugs, client ids and domains over all of it, the rest per owner. */
export function findDuplicates({ tenants, ...platform }: Configuration): { path: Path; message: string }[] {
  const owners = [
    { path: [] as Path, ...platform, domains: [], roles: [], users: [] },
    ...tenants.map((tenant, index) => ({ ...tenant, path: ['tenants', index] as Path })),
  ];
  const perOwner = owners.flatMap(({ path, resources, roles, users }) => [
    list([...path, 'resources'], resources, ({ identifier }) => identifier, 'identifier'),
    list([...path, 'roles'], roles, ({ name }) => name, 'name'),
    list([...path, 'users'], users, ({ email }) => email, 'email'),
  ]);
  const overall = [
    list(['tenants'], tenants, ({ slug }) => slug, 'slug'),
    owners.flatMap(({ path, clients }) =>
      list([...path, 'clients'], clients, ({ client_id }) => client_id, 'client_id'),
    ),
    owners.flatMap(({ path, domains }) => list([...path, 'domains'], domains, (domain) => domain)),
  ];
  return [...perOwner, ...overall].flatMap(findRepeated);
}

function list<T>(path: Path, items: readonly T[], nameOf: (item: T) => string, field?: string): Named[] {
  return items.map((item, index) => ({
    path: [...path, index, ...(field === undefined ? [] : [field])],
    name: nameOf(item),
  }));
}

function findRepeated(names: Named[]): { path: Path; message: string }[] {
  const seen = new Set<string>();
  return names.flatMap(({ path, name }) => {
    const repeated = seen.has(name);
    seen.add(name);
    return repeated ? [{ path, message: `${name} stands in the file twice` }] : [];
  });
}
