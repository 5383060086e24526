import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { importUsersFile } from '#src/cli/users-import.ts';
import { makeMasterKeyText } from '#src/lib/master-key.ts';
import { createFixture } from '#test/support/fixture.ts';
import { listStoredUsers } from '#test/support/import.ts';
import { runStatements } from '#test/support/postgres.ts';

export const MASTER_KEYS = makeMasterKeyText('test');

export type ImportFixture = Awaited<ReturnType<typeof createImportFixture>>;

/** A database and a folder for the files of a test; users whose address begins with `user` are those of the tests. */
export async function createImportFixture() {
  const fixture = await createFixture();
  const folder = mkdtempSync(path.join(tmpdir(), 'tessera-import-'));
  return {
    ...fixture,
    folder,
    write(name: string, content: string | Buffer): string {
      const file = path.join(folder, name);
      writeFileSync(file, content);
      return file;
    },
    /** The users of the tests as the tenant has them. */
    async stored(tenant: 'acme' | 'globex' = 'acme') {
      const users = await listStoredUsers(fixture, fixture[tenant].tenant_id);
      return users.filter(({ email }) => String(email).startsWith('user'));
    },
    /** Runs the command inside of this process. */
    async run(file: string, { tenant = 'acme', report }: { tenant?: string; report?: string } = {}) {
      let shown = '';
      const stderr = {
        isTTY: false,
        write(text: string) {
          shown += text;
          return true;
        },
      };
      const { document, ok } = await importUsersFile(fixture.db, { file, tenant, report }, stderr);
      return { document, ok, shown };
    },
    /** Starts it as a process of its own, as people do. */
    start: (args: string[]): ChildProcess =>
      spawn(
        process.execPath,
        ['--disable-warning=ExperimentalWarning', 'src/main.ts', 'users', 'import', ...args],
        {
          env: {
            PATH: process.env['PATH'],
            DATABASE_URL: fixture.urls.runtimeUrl,
            MIGRATION_DATABASE_URL: fixture.urls.ownerUrl,
            MASTER_KEYS,
          },
        },
      ),
    /** Takes the files and the users away. */
    async clear() {
      rmSync(folder, { recursive: true });
      mkdirSync(folder);
      await runStatements(fixture.urls.superUrl, ["delete from users where email like 'user%'"]);
    },
    async drop() {
      rmSync(folder, { recursive: true });
      await fixture.drop();
    },
  };
}

/** What a process said and how it ended. */
export async function finish(child: ChildProcess) {
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout!),
    text(child.stderr!),
    once(child, 'exit'),
  ]);
  return { stdout, stderr, code };
}

export const jsonLines = (...users: object[]) => users.map((user) => `${JSON.stringify(user)}\n`).join('');

export const manyUsers = (count: number) =>
  Array.from({ length: count }, (_, index) => ({
    email: `user${index}@example.test`,
    name: `User ${index}`,
  }));

/** The documents of a file of JSON lines. */
export const read = (file: string) =>
  readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
