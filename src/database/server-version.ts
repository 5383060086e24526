/** The oldest major release that the schema runs on. */
const oldestMajor = 15;

/** By major release, the first minor one that mends CVE-2024-10976 and CVE-2025-8713; later major releases never had them. */
const firstSound: Record<number, number> = { 15: 14, 16: 10, 17: 6 };

/** Why this PostgreSQL cannot keep tenants apart, or undefined when it can. Takes its `server_version_num`. */
export function findVersionProblem(server_version_num: number): string | undefined {
  const major = Math.floor(server_version_num / 10_000);
  const minor = server_version_num % 10_000;
  if (major < oldestMajor) {
    return `PostgreSQL ${major} is too old: use ${oldestMajor} or newer`;
  }
  const sound = firstSound[major] ?? 0;
  return minor < sound
    ? `PostgreSQL ${major}.${minor} lets a tenant learn of the rows of others (CVE-2025-8713): use ${major}.${sound} or newer`
    : undefined;
}
