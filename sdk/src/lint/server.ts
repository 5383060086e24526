import { nameOf, quoted } from './names.ts';
import type { Rule } from './rule.ts';

/** The first minor version of each major one that has the fix; later majors have it from the start. */
const roleChangeFixed: Record<number, number> = { 13: 17, 14: 14, 15: 9, 16: 5, 17: 1 };
const statisticsFixed: Record<number, number> = { 13: 22, 14: 19, 15: 14, 16: 10, 17: 6 };

function below(version: number, floors: Record<number, number>): string | undefined {
  const major = Math.floor(version / 10_000);
  const oldest = Math.min(...Object.keys(floors).map(Number));
  const floor = floors[major];
  if (major < oldest) return `${oldest}.${floors[oldest]}`;
  return floor !== undefined && version % 10_000 < floor ? `${major}.${floor}` : undefined;
}

const outdated =
  (floors: Record<number, number>, risk: string): Rule['find'] =>
  ({ catalogue: { version } }) => {
    const wanted = below(version, floors);
    return wanted
      ? [
          {
            object: `server ${Math.floor(version / 10_000)}.${version % 10_000}`,
            risk,
            fix: `Update PostgreSQL to ${wanted} or later.`,
          },
        ]
      : [];
  };

export const serverRules: Rule[] = [
  {
    id: 'P-18/old-server',
    title: 'The server confuses roles in cached plans',
    why: 'A plan made for one role could be used for another (CVE-2024-10976).',
    level: 'error',
    find: outdated(
      roleChangeFixed,
      'a plan that was made for one role can be used for another, with the wrong policies (CVE-2024-10976)',
    ),
  },
  {
    id: 'P-19/old-server',
    title: 'The server leaks statistics',
    why: 'Statistics of rows that policies hide could be read (CVE-2025-8713).',
    level: 'error',
    find: outdated(
      statisticsFixed,
      'statistics of rows that policies hide can be read through a leaky operator (CVE-2025-8713)',
    ),
  },
  {
    id: 'P-23/publication',
    title: 'A publication sends out the rows of all tenants',
    why: 'Logical replication asks no policy of the publisher.',
    level: 'warning',
    find: (schema) =>
      schema.catalogue.publications.flatMap((publication) =>
        publication.tables
          .filter((id) => schema.isGuarded(id))
          .map((id) => schema.table(id)!)
          .map((table) => ({
            object: `publication ${quoted(publication.name)} of ${nameOf(table)}`,
            risk: 'who subscribes gets the rows of all tenants: no policy is asked',
            fix: publication.allTables
              ? `Name the tables that ${quoted(publication.name)} shall send, and leave those of tenants out; or keep the subscriber as safe as this database.`
              : `alter publication ${quoted(publication.name)} drop table ${nameOf(table)};`,
          })),
      ),
  },
];
