import pg from 'pg';
import { readCatalogue } from '#sdk/src/catalogue/read.ts';
import { lint } from '#sdk/src/lint/lint.ts';
import { defaultOptions } from '#sdk/src/options.ts';

/** What the package's linter finds in the schema of an example, seen as `role`: rule and object, a line each. */
export async function lintExample(url: string, schema: string, role: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const options = { ...defaultOptions, schemas: [schema], role };
    return (
      lint(await readCatalogue(client, options), options)
        // Who makes the backups is for the whole cluster to say, and not for an example.
        .filter(({ rule }) => rule !== 'P-04/no-backup-role')
        .map(({ rule, object }) => `${rule} ${object}`)
    );
  } finally {
    await client.end();
  }
}
