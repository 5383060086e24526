import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type LoadedSchema, loadSchema } from '../schemas/load.ts';
import { type Folder, linkPackages, makeFolder, makeProject, type Project, pack } from './project.ts';

let folder: Folder;
let alone: Project;
let complete: Project;
let corrected: LoadedSchema;
let pitfalls: LoadedSchema;

beforeAll(async () => {
  folder = makeFolder();
  const tarball = await pack(folder, 'sdk');
  alone = await makeProject(tarball);
  complete = await makeProject(tarball, ['pg@8']);
  linkPackages(complete, ['kysely', 'drizzle-orm', '@prisma/client', 'koa', 'express', 'fastify']);
  linkPackages(complete, ['@types/node', '@types/pg', '@types/koa', '@types/express']);
  corrected = await loadSchema('corrected');
  pitfalls = await loadSchema('pitfalls');
}, 180_000);

afterAll(async () => {
  await corrected.drop();
  await pitfalls.drop();
  for (const one of [folder, alone, complete]) one[Symbol.dispose]();
});

describe('npx rls in an empty project', () => {
  test('helps', async () => {
    const { exit, stdout } = await complete.npx('rls', '--help');
    expect(exit).toBe(0);
    expect(stdout).toMatch(/^Usage: rls COMMAND/);
  });

  test('lints: 0 for nothing, 1 for findings, 2 when it could not run', async () => {
    const lint = (url: string) => complete.npx('rls', 'lint', '--url', url, '--json');
    const clean = await lint(corrected.runtimeUrl);
    expect(clean.exit).toBe(0);
    expect(JSON.parse(clean.stdout).findings).toEqual([]);
    const found = await lint(pitfalls.runtimeUrl);
    expect(found.exit).toBe(1);
    expect(JSON.parse(found.stdout).findings.length).toBeGreaterThan(24);
    expect(await lint('postgres://127.0.0.1:1/db')).toMatchObject({
      exit: 2,
      stdout: '',
      stderr: expect.stringMatching(/nothing listens there/),
    });
  });

  test('without pg says how to get it', async () => {
    const { exit, stdout, stderr } = await alone.npx('rls', 'lint', '--url', 'postgres://localhost/db');
    expect({ exit, stdout }).toEqual({ exit: 2, stdout: '' });
    expect(stderr).toMatch(/^rls: the package pg is not installed here; run: npm install pg$/m);
  });
});

describe('plain JavaScript', () => {
  const names = (entries: string[]) => `
    for (const entry of ${JSON.stringify(entries)}) {
      const names = Object.keys(await import(entry)).filter((name) => !name.endsWith('Error'));
      console.log(entry, names.sort().join(' '));
    }`;
  const rls = '@tessera/rls';

  test('imports every entry', async () => {
    const entries = [
      rls,
      ...['pg', 'kysely', 'drizzle', 'prisma', 'koa', 'express', 'fastify'].map((name) => `${rls}/${name}`),
    ];
    complete.write('all.mjs', names(entries));
    const { stdout, stderr } = await complete.node('all.mjs');
    expect(stderr).toBe('');
    expect(stdout.trim().split('\n')).toEqual([
      `${rls} challenge createVerifier`,
      `${rls}/pg refuseUnboundRole withTenant`,
      ...['kysely', 'drizzle', 'prisma'].map((name) => `${rls}/${name} withTenant`),
      ...['koa', 'express', 'fastify'].map((name) => `${rls}/${name} guard protectedResourceMetadata`),
    ]);
  });

  test('loads with require too', async () => {
    complete.write('old.cjs', `console.log(typeof require('@tessera/rls').createVerifier)`);
    expect((await complete.node('old.cjs')).stdout).toBe('function\n');
  });

  test('reads the SQL kit from the package', async () => {
    complete.write(
      'kit.mjs',
      `import { readFileSync } from 'node:fs';
      console.log(readFileSync(new URL(import.meta.resolve('@tessera/rls/sql/tenant.sql')), 'utf8').includes('tenant.protect'));`,
    );
    expect((await complete.node('kit.mjs')).stdout).toBe('true\n');
  });

  test('without any peer verifies, and an entry whose library is missing says which', async () => {
    alone.write('none.mjs', names([rls, `${rls}/pg`, `${rls}/koa`, `${rls}/kysely`]));
    const { exit, stdout, stderr } = await alone.node('none.mjs');
    expect(exit).toBe(1);
    expect(stdout.split('\n').slice(0, 3)).toEqual([
      `${rls} challenge createVerifier`,
      `${rls}/pg refuseUnboundRole withTenant`,
      `${rls}/koa guard protectedResourceMetadata`,
    ]);
    expect(stderr).toMatch(/ERR_MODULE_NOT_FOUND/);
    expect(stderr).toMatch(/Cannot find package 'kysely'/);
  });

  test('a token that nobody verified is refused at run time too', async () => {
    complete.write(
      'refused.mjs',
      `import pg from 'pg';
      import { withTenant } from '@tessera/rls/pg';
      await withTenant(new pg.Pool(), 'eyJ', async () => 1).catch((error) => console.log(String(error)));`,
    );
    expect((await complete.node('refused.mjs')).stdout).toMatch(
      /^TypeError: withTenant takes the result of verifier\.verify/,
    );
  });
});

describe.each([
  ['nodenext', ['--module', 'nodenext', '--moduleResolution', 'nodenext']],
  ['a bundler', ['--module', 'esnext', '--moduleResolution', 'bundler']],
])('TypeScript with the module resolution of %s', (_, options) => {
  test('knows every entry, with skipLibCheck off', async () => {
    complete.write(
      'entries.ts',
      `import pg from 'pg';
      import { drizzle } from 'drizzle-orm/node-postgres';
      import { Kysely, PostgresDialect } from 'kysely';
      import Koa from 'koa';
      import express from 'express';
      import fastify from 'fastify';
      import { createVerifier, TokenError, type VerifiedToken } from '@tessera/rls';
      import { withTenant } from '@tessera/rls/pg';
      import { withTenant as withKysely } from '@tessera/rls/kysely';
      import { withTenant as withDrizzle } from '@tessera/rls/drizzle';
      import { withTenant as withPrisma } from '@tessera/rls/prisma';
      import { guard } from '@tessera/rls/koa';
      import { guard as expressGuard } from '@tessera/rls/express';
      import { guard as fastifyGuard } from '@tessera/rls/fastify';

      const pool = new pg.Pool();
      const verifier = createVerifier({ issuer: 'https://id.example.test', audience: 'https://api.example.test' });
      const token: VerifiedToken = await verifier.verify('');
      const rows = await withTenant(pool, token, async (tx) => (await tx.query<{ id: string }>('select id')).rows);
      export const id: string | undefined = rows[0]?.id;
      const kysely = new Kysely<{ orders: { id: string } }>({ dialect: new PostgresDialect({ pool }) });
      export const list: { id: string }[] = await withKysely(kysely, token, (tx) => tx.selectFrom('orders').select('id').execute());
      export const one: number = await withDrizzle(drizzle({ client: pool }), token, async () => 1);
      new Koa().use(guard(verifier)).use((ctx) => { ctx.body = ctx.state.token?.tenantId; });
      express().use(expressGuard(verifier), (req, res) => { res.send(req.token?.tenantId); });
      fastify().addHook('onRequest', fastifyGuard(verifier));
      export { withPrisma, TokenError };`,
    );
    expect(await complete.typeCheck(['entries.ts'], options)).toEqual([]);
  });

  test('refuses a token that nobody verified, and its claims', async () => {
    complete.write(
      'refused.ts',
      `import pg from 'pg';
      import { withTenant } from '@tessera/rls/pg';
      const pool = new pg.Pool();
      await withTenant(pool, 'eyJ', async () => 1);
      await withTenant(pool, { tenantId: '6f1f7c1e-5c0a-4d52-9a36-0c8d1b7a2f10', subject: 'x' }, async () => 1);
      await withTenant(pool, JSON.parse('{}') as Record<string, unknown>, async () => 1);`,
    );
    const errors = await complete.typeCheck(['refused.ts'], options);
    expect(errors.map((line) => /^refused\.ts\((\d+),.*VerifiedToken/.exec(line)?.[1])).toEqual([
      '4',
      '5',
      '6',
    ]);
  });
});
