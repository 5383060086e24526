import { defaultOptions, type SchemaOptions } from '../options.ts';
import type { SharedArgs } from './args.ts';
import { parseJson, readNamed } from './files.ts';
import { CannotRun } from './outcome.ts';

/**
 * What the commands must know of the schema: the defaults, over them `rls.json` (or the file of `--config`), over
 * that the options of the command line. Throws CannotRun for a file that is not as it should be, naming the member.
 */
export function readOptions(args: SharedArgs, directory: string): SchemaOptions {
  const optional = args.config === undefined;
  const options = { ...defaultOptions, ...readConfig(directory, args.config ?? 'rls.json', optional) };
  return {
    ...options,
    role: args.role ?? options.role,
    schemas: args.schema ?? options.schemas,
    tenantColumns: args['tenant-column'] ?? options.tenantColumns,
    settings: args.setting ?? options.settings,
    claims: args.claim ?? options.claims,
  };
}

function readConfig(directory: string, file: string, optional: boolean): Partial<SchemaOptions> {
  const text = readNamed(directory, file, { optional });
  if (text === undefined) return {};
  const value = parseJson(text, file);
  const wrong = findWrong(value);
  if (wrong !== undefined) throw new CannotRun(`${file}: ${wrong}`);
  return value as Partial<SchemaOptions>;
}

const isText = (value: unknown) => typeof value === 'string' && value !== '';
const isList = (value: unknown) => Array.isArray(value) && value.every(isText);
const isObject = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value);

const members: Record<keyof SchemaOptions, [check: (value: unknown) => boolean, wanted: string]> = {
  schemas: [isList, 'a list of names of schemas'],
  role: [isText, 'the name of the role that the application logs in as'],
  tenantColumns: [isList, 'a list of names of columns'],
  settings: [isList, 'a list of names of settings'],
  claims: [isList, 'a list of names of claims'],
  shared: [
    (value) =>
      isObject(value) &&
      Object.entries(value as object).every(([table, why]) => table.includes('.') && isText(why)),
    'an object of "schema.table": "why its rows belong to all tenants"',
  ],
};

// A misspelt member would be a rule that silently does not hold.
function findWrong(value: unknown): string | undefined {
  if (!isObject(value)) return 'must be a JSON object';
  for (const [name, member] of Object.entries(value as object)) {
    if (!Object.hasOwn(members, name)) {
      return `unknown member "${name}"; known are ${Object.keys(members).join(', ')}`;
    }
    const [check, wanted] = members[name as keyof SchemaOptions];
    if (!check(member)) return `"${name}" must be ${wanted}`;
  }
  return undefined;
}
