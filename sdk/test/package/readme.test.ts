import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { helpText } from '../../src/cli/help.ts';
import { type Folder, linkPackages, makeFolder, makeProject, type Project, pack } from './project.ts';

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

let folder: Folder;
let project: Project;

beforeAll(async () => {
  folder = makeFolder();
  project = await makeProject(await pack(folder, 'sdk'));
  linkPackages(project, ['pg', 'kysely', 'koa', 'express', 'fastify']);
  linkPackages(project, ['@types/node', '@types/pg', '@types/koa', '@types/express']);
}, 120_000);

afterAll(() => {
  project[Symbol.dispose]();
  folder[Symbol.dispose]();
});

const blocksOf = (language: string) =>
  [...readme.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)]
    .filter(([, name]) => name === language)
    .map(([, , text]) => text!);

test('every block of TypeScript compiles against the package as it is packed', async () => {
  const blocks = blocksOf('ts');
  expect(blocks.length).toBeGreaterThanOrEqual(6);
  const files = blocks.map((text, index) => {
    // A block that others import says its name.
    const name = /^\/\/ (\S+\.ts)\n/.exec(text)?.[1] ?? `block-${index}.ts`;
    project.write(name, text);
    return name;
  });
  const options = ['--module', 'nodenext', '--moduleResolution', 'nodenext', '--allowImportingTsExtensions'];
  expect(await project.typeCheck(files, options)).toEqual([]);
});

test('every option that it names is one of the commands', () => {
  const help = (['lint', 'prove', 'explain'] as const).map(helpText).join('\n');
  const known = new Set(help.match(/--[a-z-]+/g));
  const named = [...readme.matchAll(/(?<=[` ])--[a-z][a-z-]+/g)].map(([option]) => option);
  expect(named.filter((option) => !known.has(option))).toEqual([]);
});

test('its rls.json is one that the commands take', async () => {
  const [json] = blocksOf('json');
  project.write('rls.json', json!);
  const { exit, stderr } = await project.npx('rls', 'lint', '--url', 'postgres://127.0.0.1:1/db');
  expect(exit).toBe(2);
  expect(stderr).toMatch(/nothing listens there/);
});
