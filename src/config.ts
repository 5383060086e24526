import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { z } from 'zod';
import { type BudgetChanges, parseBudgetChanges } from '#src/budgets.ts';
import { type Cidr, ipAllowed, parseCidr } from '#src/lib/client-ip.ts';
import { normaliseEmail } from '#src/lib/email.ts';
import { logLevels } from '#src/lib/log.ts';
import { type MasterKey, parseMasterKeys } from '#src/lib/master-key.ts';
import { makeSecret, type Secret } from '#src/lib/secret.ts';

export type Config = {
  readonly port: number;
  readonly host: string;
  /** Undefined: no metrics are kept. */
  readonly metricsPort: number | undefined;
  /** The public origin, without a trailing slash. */
  readonly issuer: string;
  readonly production: boolean;
  readonly dataDir: string;
  readonly demo: boolean;
  readonly logLevel: (typeof logLevels)[number];
  readonly database:
    | { readonly mode: 'embedded' }
    | {
        readonly mode: 'server';
        readonly url: Secret;
        readonly migrationUrl: Secret;
        /** Connections go through PgBouncer (`?pgbouncer=true`): no named prepared statements. */
        readonly pgbouncer: boolean;
      };
  readonly redisUrl?: Secret | undefined;
  /** In place of the defaults of budgets.ts. */
  readonly rateLimits: BudgetChanges;
  /** Newest first; undefined only outside production, where a key is made in the data directory. */
  readonly masterKeys: readonly MasterKey[] | undefined;
  /** Newest first; none unless given. */
  readonly passwordPeppers: readonly MasterKey[];
  readonly smtp?: { readonly url: Secret; readonly from: string } | undefined;
  readonly trustedProxies: readonly Cidr[];
  readonly outboundAllow: { readonly hosts: readonly string[]; readonly cidrs: readonly Cidr[] };
};

/** Thrown with all that is wrong at once; each problem names a variable and the way out, and shows no secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(['The configuration is not usable:', ...problems].join('\n- '));
    this.problems = problems;
  }
}

/** Variables that may be given as a file instead, whose path stands in NAME_FILE. */
export const secretVariables = [
  'DATABASE_URL',
  'MIGRATION_DATABASE_URL',
  'REDIS_URL',
  'MASTER_KEYS',
  'PASSWORD_PEPPERS',
  'SMTP_URL',
] as const;

/**
 * Reads the environment: the only place where variables get a meaning and a default. An empty value counts as
 * absent. Gives a frozen Config, or throws a ConfigError that names every problem.
 */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value));
  const files = readSecretFiles(given);
  const production = given['NODE_ENV'] === 'production';
  const parsed = makeSchema(production).safeParse({ ...given, ...files.values });
  const issues = parsed.error?.issues ?? [];
  const problems = [
    ...files.problems,
    ...issues.map((issue) => `${String(issue.path[0])}: ${issue.message}`),
    ...findConflicts(given, production),
  ];
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems);
  return deepFreeze(assemble(parsed.data, production));
}

type Given = Readonly<Record<string, string | undefined>>;

function readSecretFiles(given: Given): { values: Given; problems: string[] } {
  const values: Record<string, string> = {};
  const problems: string[] = [];
  for (const name of secretVariables) {
    const path = given[`${name}_FILE`];
    if (path === undefined) continue;
    if (given[name] !== undefined) {
      problems.push(`${name}: is given twice, also as ${name}_FILE; keep one`);
      continue;
    }
    try {
      const content = readFileSync(path, 'utf8').trim();
      if (content) values[name] = content;
      else problems.push(`${name}_FILE: the file ${path} is empty; write the value into it`);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      problems.push(`${name}_FILE: the file ${path} cannot be read (${code}); check the path and its rights`);
    }
  }
  return { values, problems };
}

// `read` gives the value of a variable or the outcome of `refuse`, whose message says what it must be.
const field = <T>(read: (text: string, refuse: (message: string) => never) => T) =>
  z
    .string()
    .transform(
      (text, context): T =>
        read(text, (message) => {
          context.addIssue({ code: 'custom', message });
          return z.NEVER;
        }),
    )
    .optional();

const choice = <const T extends readonly string[]>(...names: T) =>
  z.enum(names, { error: `must be one of ${names.join(', ')}` }).optional();

const makeSchema = (production: boolean) =>
  z.object({
    NODE_ENV: choice('development', 'test', 'production'),
    PORT: portNumber(),
    METRICS_PORT: portNumber(),
    HOST: field((text, refuse) =>
      isIP(text) || hostName.test(text) ? text : refuse('must be an address to listen on, such as 127.0.0.1'),
    ),
    ISSUER: field((text, refuse) => readIssuer(text, production, refuse)),
    DATABASE_URL: postgresUrl(production),
    MIGRATION_DATABASE_URL: postgresUrl(production),
    REDIS_URL: connectionUrl(['redis:', 'rediss:'], (url) =>
      production && url.protocol !== 'rediss:' && !isLocalHost(url.hostname)
        ? 'must start with rediss:// in production, since the server is not on this machine'
        : undefined,
    ),
    RATE_LIMITS: field((text, refuse): BudgetChanges => {
      const changes = parseBudgetChanges(text);
      return 'problem' in changes ? refuse(changes.problem as string) : changes;
    }),
    SMTP_URL: connectionUrl(['smtp:', 'smtps:'], (url) =>
      production &&
      url.protocol !== 'smtps:' &&
      !isLocalHost(url.hostname) &&
      lastParameter(url, 'requireTLS') !== 'true'
        ? 'must start with smtps:// or end in ?requireTLS=true in production, since the server is not on this machine'
        : undefined,
    ),
    MAIL_FROM: field((text, refuse) => {
      const address = /^[^<>\p{Cc}]*<([^<>]+)>$/u.exec(text)?.[1] ?? text;
      return normaliseEmail(address)
        ? text
        : refuse('must be an address, such as Tessera <no-reply@example.com>');
    }),
    MASTER_KEYS: keyList(),
    PASSWORD_PEPPERS: keyList(),
    TRUSTED_PROXIES: field((text, refuse) =>
      splitList(text).map(
        (entry) =>
          readNetwork(entry, refuse) ?? refuse(`${entry} is not an address or network such as 10.0.0.0/8`),
      ),
    ),
    OUTBOUND_ALLOW: field((text, refuse) => {
      const entries = splitList(text).map((entry) => ({ entry, cidr: readNetwork(entry, refuse) }));
      const hosts = entries.filter(({ cidr }) => !cidr).map(({ entry }) => entry.toLowerCase());
      const odd = hosts.find((host) => !hostName.test(host));
      if (odd !== undefined) {
        return refuse(`${odd} is not a host name or network; write no scheme, port or path`);
      }
      return { hosts, cidrs: entries.flatMap(({ cidr }) => (cidr ? [cidr] : [])) };
    }),
    LOG_LEVEL: choice(...logLevels),
    TESSERA_DATA_DIR: z.string().optional(),
    TESSERA_DEMO: choice('on', 'off'),
  });

const hostName = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i;

const portNumber = () =>
  field((text, refuse) =>
    /^\d{1,5}$/.test(text) && Number(text) <= 65_535
      ? Number(text)
      : refuse('must be a number from 0 to 65535'),
  );

const keyList = () =>
  field((text, refuse) => {
    const parsed = parseMasterKeys(text);
    if (parsed.ok) return parsed.keys;
    return refuse(
      `${parsed.problems.join('; ')}; write id:KEY, where KEY is printed by: openssl rand -base64 32`,
    );
  });

const splitList = (text: string): string[] =>
  text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');

function readNetwork(entry: string, refuse: (message: string) => never): Cidr | undefined {
  const cidr = parseCidr(entry);
  return cidr?.[1] === 0
    ? refuse(`${entry} is every address there is; name the networks that are meant`)
    : cidr;
}

function readIssuer(text: string, production: boolean, refuse: (message: string) => never): string {
  const url = parseUrl(text);
  if (!url || !['http:', 'https:'].includes(url.protocol)) {
    return refuse('must be an origin such as https://id.example.com');
  }
  if (text !== url.origin) {
    return refuse(`must be an origin only, without path, query, user or trailing slash; write ${url.origin}`);
  }
  return production && url.protocol !== 'https:' ? refuse('must start with https:// in production') : text;
}

// user@/name?host=/socket, which libpq and the driver take, is no URL to Node for want of a host.
const parseUrl = (text: string): URL | undefined =>
  URL.parse(text) ?? URL.parse(text.replace('@/', '@none/')) ?? undefined;

const connectionUrl = (protocols: readonly string[], findProblem: (url: URL) => string | undefined) =>
  field((text, refuse) => {
    const url = parseUrl(text);
    if (!url || !protocols.includes(url.protocol)) {
      return refuse(`must be a URL that starts with ${protocols.map((name) => `${name}//`).join(' or ')}`);
    }
    const problem = findProblem(url);
    return problem === undefined ? makeSecret(text) : refuse(problem);
  });

const postgresUrl = (production: boolean) =>
  connectionUrl(['postgres:', 'postgresql:'], (url) =>
    production &&
    !isLocalHost(lastParameter(url, 'host') || url.hostname) &&
    lastParameter(url, 'sslmode') !== 'verify-full'
      ? 'must have sslmode=verify-full in production (and sslrootcert=FILE for a private authority), since the server is not on this machine'
      : undefined,
  );

// The driver, too, takes the last of several.
const lastParameter = (url: URL | undefined, name: string): string | undefined =>
  url?.searchParams.getAll(name).at(-1);

const loopback = [parseCidr('127.0.0.0/8')!, parseCidr('::1')!];

// A socket is a path, which a URL writes as %2F. A missing host is not ours to judge: PGHOST may give one.
const isLocalHost = (host: string): boolean =>
  /^(?:\/|%2f|localhost$)/i.test(host) || ipAllowed(host.replace(/^\[(.*)\]$/, '$1'), loopback);

function findConflicts(given: Given, production: boolean): string[] {
  const isGiven = (name: string) =>
    given[name] !== undefined || secretVariables.some((secret) => secret === name && given[`${secret}_FILE`]);
  const ownVariables = configVariables.filter((name) => name.startsWith('TESSERA_'));
  const problems = Object.keys(given)
    .filter((name) => name.startsWith('TESSERA_') && !ownVariables.includes(name))
    .map((name) => `${name}: is not a known variable (${ownVariables.join(', ')}); ${adviseOnUnknown(name)}`);
  const demand = (met: boolean, problem: string) => {
    if (!met) problems.push(problem);
  };

  demand(
    isGiven('DATABASE_URL') || !isGiven('MIGRATION_DATABASE_URL'),
    'MIGRATION_DATABASE_URL: needs DATABASE_URL too; set it to the runtime role',
  );
  demand(
    isGiven('MAIL_FROM') || !isGiven('SMTP_URL'),
    'MAIL_FROM: is required with SMTP_URL; set the sender address',
  );
  demand(
    isGiven('NODE_ENV') || !given['ISSUER']?.startsWith('https:'),
    'NODE_ENV: is required with an https ISSUER, since without it the rules of production do not apply; set production or development',
  );
  demand(
    !isGiven('METRICS_PORT') ||
      Number(given['METRICS_PORT']) === 0 ||
      Number(given['METRICS_PORT']) !== Number(given['PORT'] ?? 3000),
    'METRICS_PORT: is the port of the public; choose one that only your own network reaches',
  );
  if (!production) return problems;

  demand(
    isGiven('ISSUER'),
    'ISSUER: is required in production; set the public origin, such as https://id.example.com',
  );
  demand(
    isGiven('DATABASE_URL'),
    'DATABASE_URL: is required in production, where no embedded database runs; set the runtime role',
  );
  demand(
    isGiven('MASTER_KEYS'),
    'MASTER_KEYS: is required in production; set id:KEY, where KEY is printed by: openssl rand -base64 32',
  );
  demand(given['TESSERA_DEMO'] !== 'on', 'TESSERA_DEMO: has no place in production; set off or remove it');
  demand(
    given['NODE_TLS_REJECT_UNAUTHORIZED'] !== '0',
    'NODE_TLS_REJECT_UNAUTHORIZED: 0 turns every certificate check off; remove it',
  );
  return problems;
}

const adviseOnUnknown = (name: string): string =>
  /^TESSERA_(SERVICE_|PORT)/.test(name)
    ? 'Kubernetes sets it for a service of that name: set enableServiceLinks: false for the pod'
    : 'correct or remove it';

function assemble(values: z.output<ReturnType<typeof makeSchema>>, production: boolean): Config {
  const port = values.PORT ?? 3000;
  const { DATABASE_URL: url, SMTP_URL: smtpUrl, MAIL_FROM: from } = values;
  const demo = values.TESSERA_DEMO === undefined ? !url && !production : values.TESSERA_DEMO === 'on';
  return {
    port,
    metricsPort: values.METRICS_PORT,
    host: values.HOST ?? (production ? '0.0.0.0' : '127.0.0.1'),
    issuer: values.ISSUER ?? `http://localhost:${port}`,
    production,
    dataDir: values.TESSERA_DATA_DIR ?? '.data',
    demo,
    // The demo speaks to a person at a terminal, who did not ask for a line per request.
    logLevel: values.LOG_LEVEL ?? (demo ? 'warn' : 'info'),
    database: url
      ? {
          mode: 'server',
          url,
          migrationUrl: values.MIGRATION_DATABASE_URL ?? url,
          pgbouncer: lastParameter(parseUrl(url.reveal()), 'pgbouncer') === 'true',
        }
      : { mode: 'embedded' },
    redisUrl: values.REDIS_URL,
    rateLimits: values.RATE_LIMITS ?? {},
    masterKeys: values.MASTER_KEYS,
    passwordPeppers: values.PASSWORD_PEPPERS ?? [],
    smtp: smtpUrl && from ? { url: smtpUrl, from } : undefined,
    trustedProxies: values.TRUSTED_PROXIES ?? [],
    outboundAllow: values.OUTBOUND_ALLOW ?? { hosts: [], cidrs: [] },
  };
}

// Only our own literals: key objects and addresses belong to their libraries.
function deepFreeze<T>(value: T): T {
  const plain = Array.isArray(value) || Object.getPrototypeOf(value ?? 0) === Object.prototype;
  if (plain) Object.values(Object.freeze(value) as object).forEach(deepFreeze);
  return value;
}

/** Every variable that is read, without the NAME_FILE forms. */
export const configVariables: readonly string[] = Object.keys(makeSchema(false).shape);
