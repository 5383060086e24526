import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';

const root = fileURLToPath(new URL('../', import.meta.url));

interface SourceFile {
  /** From the root of the project. */
  file: string;
  text: string;
}

const folders = ['src', 'views', 'test', 'examples', 'bench', 'scripts', 'db', 'sdk'];

/** All code of the project but this file, whose examples break every rule. */
const files: SourceFile[] = folders
  .flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' }).map(
      (name) => `${folder}/${name}`,
    ),
  )
  .filter((file) => /\.(ts|js|cjs|mjs|sql)$/.test(file) && file !== 'db/schema.sql')
  .filter(
    (file) => file !== 'test/architecture.test.ts' && !/node_modules\/|^sdk\/dist\/|\/generated\//.test(file),
  )
  .map((file) => ({ file, text: readFileSync(path.join(root, file), 'utf8') }));

interface Import {
  from: string;
  typeOnly: boolean;
}

const importForm =
  /^(?:import|export)\s+(type\s)?[^;'"]*?\bfrom\s+'([^']+)'|^import\s+'([^']+)'|\bimport\(\s*[`']([^`']+)[`']/gm;

function importsOf({ text }: SourceFile): Import[] {
  return [...text.matchAll(importForm)].map(([, type, from, bare, called]) => ({
    from: (from ?? bare ?? called)!,
    typeOnly: type !== undefined,
  }));
}

/** The table of src/README.md: what each part of src may import, of the parts and of the other folders. */
const layers = new Map(
  [
    ...readFileSync(path.join(root, 'src/README.md'), 'utf8').matchAll(/^\| `([\w.]+)` \|.*\|([^|]*)\|$/gm),
  ].map(([, part, names]) => [
    partOf(part!),
    [...names!.matchAll(/`([\w.]+)`/g)].map(([, name]) => partOf(name!)),
  ]),
);

/** `src/http/app.ts` and `http` give `http`; `src/main.ts` and `main.ts` give `main`. */
function partOf(file: string): string {
  return file
    .replace(/^#?src\//, '')
    .split('/')[0]!
    .replace(/\.ts$/, '');
}

/** Packages that belong to some parts of src only. */
const packages: Record<string, RegExp> = {
  'oidc-provider': /^src\/(oidc|pages)\//,
  koa: /^src\/(http|oidc|pages)\//,
  '@koa/router': /^src\/(http|pages)\//,
  pg: /^src\/(database|demo|cli|oidc\/request-store)/,
  kysely: /^src\/(database|domain|jobs)\//,
  '@node-rs/argon2': /^src\/domain\/credentials\//,
  bcryptjs: /^src\/domain\/credentials\//,
  'prom-client': /^src\/http\/metrics\//,
  'rate-limiter-flexible': /^src\/domain\/limits\//,
  ioredis: /^src\/(domain\/limits|cli)\//,
  'pg-boss': /^src\/database\//,
  nodemailer: /^src\/(lib|cli)\//,
  pino: /^src\/(lib|database)\//,
};

/** Packages that a user of sdk may or may not have: only these files may name them. */
const peers: Record<string, RegExp> = {
  pg: /^sdk\/src\/(pg|run\/.*|cli\/.*|catalogue\/.*|prove\/.*|explain\/.*)\.ts$/,
  kysely: /^sdk\/src\/(run\/)?kysely\.ts$/,
  'drizzle-orm': /^sdk\/src\/(run\/)?drizzle\.ts$/,
  'drizzle-orm/node-postgres': /^sdk\/src\/(run\/)?drizzle\.ts$/,
  'drizzle-orm/pg-core': /^sdk\/src\/(run\/)?drizzle\.ts$/,
  '@prisma/client': /^sdk\/src\/(run\/)?prisma\.ts$/,
  koa: /^sdk\/src\/(guard\/)?koa\.ts$/,
  express: /^sdk\/src\/(guard\/)?express\.ts$/,
  fastify: /^sdk\/src\/(guard\/)?fastify\.ts$/,
};

interface Rule {
  name: string;
  /** What breaks the rule in this file. */
  find(source: SourceFile): string[];
  /** A file that breaks it. */
  example: SourceFile;
}

/** Lines of the file that have this form. */
const lines =
  (form: RegExp, where: RegExp) =>
  ({ file, text }: SourceFile): string[] =>
    where.test(file) ? text.split('\n').filter((line) => form.test(line)) : [];

const product = /^(src|views|sdk\/src)\//;

const rules: Rule[] = [
  {
    name: 'a part of src imports only what the table of src/README.md names',
    find: (source) =>
      source.file.startsWith('src/')
        ? importsOf(source)
            .map(({ from }) => from)
            .filter((from) => from.startsWith('#'))
            .filter((from) => {
              const target = from.startsWith('#src/') ? partOf(from) : from.slice(1).split('/')[0]!;
              const own = partOf(source.file);
              // Inside of domain each noun is a folder, so only there a part may name itself.
              return target === own ? own !== 'domain' : !layers.get(own)?.includes(target);
            })
        : [],
    example: { file: 'src/domain/users/users.ts', text: "import { makeApp } from '#src/http/app.ts';" },
  },
  {
    name: 'services and configuration are passed, not fetched: below serve they are types only',
    find: (source) =>
      /^src\/(main|serve|services)\.ts$/.test(source.file) || !source.file.startsWith('src/')
        ? []
        : importsOf(source)
            .filter(({ from, typeOnly }) => /^#src\/(services|config)\.ts$/.test(from) && !typeOnly)
            .map(({ from }) => from),
    example: { file: 'src/http/host.ts', text: "import { readConfig } from '#src/config.ts';" },
  },
  {
    name: 'views and examples stand alone',
    find: (source) =>
      importsOf(source)
        .map(({ from }) => from)
        .filter(
          (from) =>
            from.startsWith('#') &&
            ((source.file.startsWith('views/') && !from.startsWith('#views/')) ||
              (source.file.startsWith('examples/') && !/^#(examples|tessera\/rls)(\/|$)/.test(from))),
        ),
    example: {
      file: 'views/pages/login.ts',
      text: "import type { User } from '#src/domain/users/users.ts';",
    },
  },
  {
    name: 'the package in sdk knows nothing of the server, and each of its peers is named in one place',
    find: (source) =>
      source.file.startsWith('sdk/src/')
        ? importsOf(source)
            .filter(({ from }) => !/^(node:|\.\.?\/|jose$)/.test(from) && !peers[from]?.test(source.file))
            .map(({ from }) => from)
        : [],
    example: { file: 'sdk/src/run/pg.ts', text: "import type { Kysely } from 'kysely';" },
  },
  {
    name: 'the product imports neither tests nor measurements',
    find: (source) =>
      product.test(source.file)
        ? importsOf(source)
            .map(({ from }) => from)
            .filter(
              (from) => /^#(test|bench|scripts)\//.test(from) || /^(@?jest|fast-check|playwright)/.test(from),
            )
        : [],
    example: { file: 'src/oidc/ttl.ts', text: "import { resource } from '#test/support/fixture.ts';" },
  },
  {
    name: 'a package is used where it belongs',
    find: (source) =>
      source.file.startsWith('src/')
        ? importsOf(source)
            .map(({ from }) => from)
            .filter((from) => packages[from] && !packages[from].test(source.file))
        : [],
    example: { file: 'src/domain/users/users.ts', text: "import type { Context } from 'koa';" },
  },
  {
    name: 'only the public side of oidc-provider is used',
    find: (source) =>
      importsOf(source)
        .map(({ from }) => from)
        .filter((from) => from.startsWith('oidc-provider/')),
    example: {
      file: 'src/oidc/provider.ts',
      text: "import instance from 'oidc-provider/lib/helpers/weak_cache.js';",
    },
  },
  {
    // The compiled package has no names of its own to import by.
    name: 'no import climbs: "../" does not exist, but inside of sdk',
    find: (source) =>
      importsOf(source)
        .map(({ from }) => from)
        .filter((from) => from.includes('../') && !source.file.startsWith('sdk/')),
    example: { file: 'src/http/app.ts', text: "const app = await import('../oidc/provider.ts');" },
  },
  {
    name: 'no file hands on what another one exports, but the entries of the package',
    find: (source) =>
      /^sdk\/src\/\w+\.ts$/.test(source.file)
        ? []
        : [
            ...lines(/^export (\*|(type )?\{[^}]*\} from)/, /./)(source),
            ...(/(^|\/)index\.[cm]?[jt]s$/.test(source.file) ? [source.file] : []),
          ],
    example: { file: 'src/lib/log.ts', text: "export * from './secret.ts';" },
  },
  {
    name: 'exports have names',
    find: ({ file, text }) =>
      /^test\/support\/global-(setup|teardown)\.ts$/.test(file)
        ? []
        : lines(/^export default\b/, /./)({ file, text }),
    example: { file: 'views/layout.ts', text: 'export default function layout() {}' },
  },
  {
    name: 'no prototype is patched but where stored client secrets are compared',
    find: (source) =>
      source.file === 'src/oidc/hashed-client-secret.ts'
        ? []
        : lines(
            /(?<!\bObject)\.prototype\b|\bObject\.prototype\s*[.[]|__proto__|\bsetPrototypeOf\b/,
            product,
          )(source),
    example: {
      file: 'src/oidc/provider.ts',
      text: 'provider.Client.prototype.redirectUriAllowed = () => true;',
    },
  },
  {
    name: 'the environment is read by main.ts and by nobody else',
    find: (source) =>
      /^(sdk\/)?src\/(cli\/)?main\.ts$/.test(source.file)
        ? []
        : lines(/\bprocess\s*(\.|\?\.|\[['"])env\b|\benv\b.*=\s*process\b/, product)(source),
    example: { file: 'src/lib/log.ts', text: "const level = process.env['LOG_LEVEL'];" },
  },
  {
    name: 'SQL runs in a tenant’s transaction, but for what is named here [P-06]',
    find: (source) =>
      /^(src\/(database\/|domain\/catalogue\/config-changes|http\/health|cli\/doctor-database)|sdk\/)/.test(
        source.file,
      )
        ? []
        : lines(/\b(pool|aux)\.(query|connect)\(/, product)(source),
    example: { file: 'src/domain/users/users.ts', text: "await db.pool.query('select * from users');" },
  },
  {
    name: 'no setting outlives its transaction, but where doctor asks whether a pooler would leak it [P-07]',
    find: lines(
      /set_config\([^)]*,\s*false\s*\)|\bset (session )?app\./i,
      /^(src(?!\/cli\/doctor-pooler)|db)\//,
    ),
    example: {
      file: 'src/database/tenant.ts',
      text: "select set_config('app.current_tenant_id', $1, false)",
    },
  },
  {
    name: 'chance is cryptographic',
    find: lines(/\bMath\.random\b/, product),
    example: { file: 'src/lib/secret.ts', text: 'const secret = Math.random().toString(36);' },
  },
  {
    name: 'what is to be said goes to the log',
    find: lines(/\bconsole\s*[.[]/, /^(src|views|sdk\/src(?!\/cli\/main))\//),
    example: { file: 'src/jobs/jobs.ts', text: "console.error('failed');" },
  },
  {
    name: 'no module is mocked',
    find: lines(/\bjest\.(unstable_)?(mock|mockModule|doMock|setMock)\(/, /^test\//),
    example: { file: 'test/jobs/x.test.ts', text: "jest.mock('#src/database/pool.ts');" },
  },
  {
    name: 'a file has at most 400 lines, but for the schema that the job queue brings along',
    find: ({ file, text }) => {
      if (file === 'db/migrations/0011_create_mail.sql') {
        return [];
      }
      const count = text.replace(/\n$/, '').split('\n').length;
      return count > 400 ? [`${file} has ${count} lines`] : [];
    },
    example: { file: 'src/http/app.ts', text: '\n'.repeat(401) },
  },
];

describe.each(rules)('$name', ({ find, example }) => {
  test('everywhere', () => {
    const broken = files.flatMap((source) => find(source).map((what) => `${source.file}: ${what.trim()}`));
    expect(broken).toEqual([]);
  });

  test('and its breach is seen', () => {
    expect(find(example)).toHaveLength(1);
  });
});

describe('the layers', () => {
  const parts = readdirSync(path.join(root, 'src')).filter((name) => !name.endsWith('.md'));

  test('every part of src has its line in src/README.md, and no other has', () => {
    expect([...layers.keys()].sort()).toEqual(parts.map(partOf).sort());
  });

  test('go down and never up', () => {
    const order = [...layers.keys()];
    const up = order.flatMap((part, index) =>
      layers
        .get(part)!
        .filter((name) => order.includes(name) && order.indexOf(name) <= index)
        .map((name) => `${part} imports ${name}, which stands above it`),
    );
    expect(up).toEqual([]);
  });
});

test.each(
  ['src', ...[...layers.keys()].map((part) => `src/${part}`), 'views', 'db', 'test', 'bench'].filter(
    (folder) => !existsSync(path.join(root, `${folder}.ts`)),
  ),
)('%s says in a README of its own what it owns and what it may not know', (folder) => {
  const text = readFileSync(path.join(root, folder, 'README.md'), 'utf8');
  const count = text.trim().split('\n').length;
  expect(text).toMatch(new RegExp(`^# ${path.basename(folder)}\n`));
  expect(count).toBeGreaterThanOrEqual(5);
  expect(count).toBeLessThanOrEqual(folder === 'src' ? 45 : 18);
});
