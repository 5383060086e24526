import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Folder, listFiles, makeFolder, mustExec, pack, type Tarball } from './project.ts';

let folder: Folder;
let fromSdk: Tarball;
let fromRoot: Tarball;
let unpacked: string;

beforeAll(async () => {
  folder = makeFolder();
  fromSdk = await pack(folder, 'sdk');
  fromRoot = await pack(folder, 'root');
  await mustExec('tar', ['-xzf', fromSdk.file], folder.path);
  unpacked = path.join(folder.path, 'package');
}, 120_000);

afterAll(() => folder[Symbol.dispose]());

test('npm pack builds a fresh clone, called in sdk or in the root', () => {
  expect(fromRoot.contents).toEqual(fromSdk.contents);
  expect(fromSdk.contents).toContain('dist/cli/main.js');
});

test('the package holds what is used and nothing else', () => {
  const others = fromSdk.contents.filter((name) => !/^(dist\/.+\.(js|d\.ts)|sql\/.+\.sql)$/.test(name));
  expect(others).toEqual(['LICENSE', 'README.md', 'package.json']);
  expect(fromSdk.contents.filter((name) => /test|\.map$/.test(name))).toEqual([]);
  const sources = listFiles(fileURLToPath(new URL('../../src', import.meta.url)));
  expect(fromSdk.contents.filter((name) => name.endsWith('.js'))).toHaveLength(sources.length);
});

test('no file of it names a folder of the machine that built it, or maps back to sources', () => {
  for (const file of listFiles(unpacked)) {
    const text = readFileSync(file, 'utf8');
    expect([file, text.includes(folder.path)]).toEqual([file, false]);
    expect([file, /sourceMappingURL|(?<![\w.])\/(home|root|Users|tmp|work)\//.test(text)]).toEqual([
      file,
      false,
    ]);
  }
});

test('what the manifest names is there, and the bin starts with a shebang', () => {
  const manifest = JSON.parse(readFileSync(path.join(unpacked, 'package.json'), 'utf8'));
  const named = [...Object.values(manifest.exports), ...Object.values(manifest.bin)] as string[];
  for (const name of named) expect(fromSdk.contents).toContain(path.posix.normalize(name));
  for (const name of named.filter((one) => /^\.\/dist\/\w+\.js$/.test(one))) {
    expect(fromSdk.contents).toContain(path.posix.normalize(name).replace(/\.js$/, '.d.ts'));
  }
  expect(readFileSync(path.join(unpacked, manifest.bin.rls), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  expect(Object.keys(manifest.dependencies)).toEqual(['jose']);
  expect(Object.keys(manifest.peerDependenciesMeta).sort()).toEqual(
    Object.keys(manifest.peerDependencies).sort(),
  );
});

test('compiled files import jose, Node and each other; a peer is loaded only by its own entry or on call', () => {
  const bare = new Map<string, string[]>();
  for (const file of listFiles(path.join(unpacked, 'dist')).filter((name) => name.endsWith('.js'))) {
    for (const [, from] of readFileSync(file, 'utf8').matchAll(
      /^(?:import|export)\b[^;]*?\bfrom '([^']+)'|^import '([^']+)'/gm,
    )) {
      if (from === undefined || /^(node:|\.)/.test(from)) continue;
      bare.set(from, [...(bare.get(from) ?? []), path.relative(unpacked, file)]);
    }
  }
  bare.delete('jose');
  expect(Object.fromEntries(bare)).toEqual({
    kysely: ['dist/run/kysely.js'],
    'drizzle-orm/node-postgres': ['dist/run/drizzle.js'],
  });
});
