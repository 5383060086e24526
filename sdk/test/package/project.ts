import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));

export interface Ran {
  exit: number;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end; npm's own variables of the run around this one are left out. */
export function exec(program: string, args: string[], directory: string): Promise<Ran> {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(npm_(package|lifecycle|config_local_prefix)|INIT_CWD)/.test(name),
    ),
  );
  const options = { cwd: directory, env: { ...env, NODE_OPTIONS: '' }, maxBuffer: 16_000_000 };
  return new Promise((resolve, reject) => {
    execFile(program, args, options, (error, stdout, stderr) => {
      const exit = error === null ? 0 : error.code;
      if (typeof exit === 'number') resolve({ exit, stdout, stderr });
      else reject(error);
    });
  });
}

/** The same, for what must succeed; gives its standard output. */
export async function mustExec(program: string, args: string[], directory: string): Promise<string> {
  const { exit, stdout, stderr } = await exec(program, args, directory);
  if (exit !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${exit}\n${stdout}\n${stderr}`);
  return stdout;
}

export interface Folder extends Disposable {
  path: string;
}

export function makeFolder(): Folder {
  const folder = mkdtempSync(path.join(tmpdir(), 'tessera-package-'));
  return { path: folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
}

export interface Tarball {
  file: string;
  /** Paths in the package, sorted. */
  contents: string[];
}

/**
 * Packs the package in a copy as a fresh clone has it: without anything built, and with the modules of the root. `from`
 * is where npm is called.
 */
export async function pack(folder: Folder, from: 'sdk' | 'root'): Promise<Tarball> {
  const clone = path.join(folder.path, `clone-of-${from}`);
  for (const name of ['package.json', 'tsconfig.json', 'sdk']) {
    cpSync(path.join(root, name), path.join(clone, name), {
      recursive: true,
      filter: (source) => !/[\\/]sdk[\\/](dist|node_modules)$/.test(source),
    });
  }
  symlinkSync(path.join(root, 'node_modules'), path.join(clone, 'node_modules'), 'junction');
  const args = ['pack', '--json', '--pack-destination', clone];
  const output = await (from === 'sdk'
    ? mustExec('npm', args, path.join(clone, 'sdk'))
    : mustExec('npm', [...args, './sdk'], clone));
  // npm prints an array up to version 11 and an object by name after it, behind what prepack printed.
  const printed = JSON.parse(output.slice(output.search(/^[[{]/m)));
  const [packed] = Object.values(printed) as { filename: string; files: { path: string }[] }[];
  return {
    file: path.join(clone, packed!.filename),
    contents: packed!.files.map((file) => file.path).sort(),
  };
}

export interface Project extends Folder {
  write(name: string, text: string): void;
  /** Runs a program of the project's own. */
  npx(...args: string[]): Promise<Ran>;
  node(...args: string[]): Promise<Ran>;
  /** Compiles without writing; gives what was wrong in the project and in the package, but not in others' packages. */
  typeCheck(files: string[], options: string[]): Promise<string[]>;
}

/** An empty project into which npm has installed the tarball and these packages. */
export async function makeProject(tarball: Tarball, packages: string[] = []): Promise<Project> {
  const folder = makeFolder();
  const write = (name: string, text: string) => writeFileSync(path.join(folder.path, name), text);
  write('package.json', JSON.stringify({ name: 'empty', private: true, type: 'module' }));
  const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--no-update-notifier'];
  await mustExec('npm', ['install', ...quiet, tarball.file, ...packages], folder.path);
  return {
    ...folder,
    write,
    npx: (...args) => exec('npx', ['--no-install', ...args], folder.path),
    node: (...args) => exec(process.execPath, args, folder.path),
    async typeCheck(files, options) {
      const strict = [
        '--noEmit',
        '--strict',
        '--target',
        'es2022',
        '--types',
        'node',
        '--skipLibCheck',
        'false',
      ];
      const program = path.join(root, 'node_modules/.bin/tsc');
      const args = [...strict, '--exactOptionalPropertyTypes', ...options, ...files];
      const { stdout } = await exec(program, args, folder.path);
      return stdout
        .split('\n')
        .filter((line) => line.includes('error TS') && !/node_modules\/(?!@tessera\/rls\/)/.test(line));
    },
  };
}

/** Links packages of the repository into a project, in place of another download. */
export function linkPackages(project: Project, names: string[]): void {
  for (const name of names) {
    const place = path.join(project.path, 'node_modules', name);
    mkdirSync(path.dirname(place), { recursive: true });
    symlinkSync(path.join(root, 'node_modules', name), place, 'junction');
  }
}

/** The text of every file under a folder, by path. */
export function listFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
}
