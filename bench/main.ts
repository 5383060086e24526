import { createServer } from 'node:net';
import { parseArgs } from 'node:util';
import { compareBindings } from './argon2.ts';
import { countCosts } from './costs.ts';
import { enumerationTable, measureEnumeration, seedEnumeration } from './enumeration.ts';
import { type Flow, flows, type Target } from './flows.ts';
import { runLoad } from './load.ts';
import { bindingTable, loginTable } from './login-tables.ts';
import { freshSignIn, measureLogins, placements } from './logins.ts';
import { pinGenerator, type ServerProcess, startServer, untilReady } from './processes.ts';
import { signIn } from './sign-in.ts';
import { costTable, type Measurement, type Row, speedTable, summarise } from './tables.ts';
import { seed, startDatabase, startTessera } from './tessera.ts';
import { measureVerify, verifyTable } from './verify.ts';
import { startCountingProxy } from './wire.ts';
import { measureWithTenant, withTenantTable } from './with-tenant.ts';

const usage = `npm run bench -- [flow ... | logins | enumeration | argon2 | verify | with-tenant] [--seconds 5] [--rounds 3] [--connections 32] [--samples 500] [--json] [--profile DIR]
flows: ${flows.map(({ name }) => name).join(' ')}
logins: whole sign-ins beside bare password hashes, and what a flood of them does to machines that ask for tokens.
enumeration: whether a wrong password tells who exists, by bytes or by time; --samples of each side.
argon2: the bindings of argon2id against one another.
verify: how many tokens a resource server verifies with the package in sdk, on one core.
--profile writes a processor profile of Tessera into the folder; the numbers of such a run are not for comparing.
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
    samples: { type: 'string', default: '500' },
    connections: { type: 'string', default: '32' },
    profile: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const [seconds, rounds, connections] = [values.seconds, values.rounds, values.connections].map(Number);
/** What is no comparison of flows; each is measured by itself. */
const others: Record<string, () => Promise<void>> = {
  logins: benchLogins,
  enumeration: benchEnumeration,
  argon2: benchArgon2,
  verify: benchVerify,
  'with-tenant': benchWithTenant,
};
const other = positionals.length === 1 ? others[positionals[0]!] : undefined;
const chosen = positionals.length ? flows.filter(({ name }) => positionals.includes(name)) : flows;
if (
  values.help ||
  !(seconds! > 0 && rounds! > 0 && connections! > 0) ||
  (!other && chosen.length < positionals.length)
) {
  process.stderr.write(usage);
  process.exit(values.help ? 0 : 2);
}
const say = (text: string) => process.stderr.write(`${text}\n`);

type Subject = 'tessera' | 'rs256' | 'es256';
type Running = { server: ServerProcess; target: Target };

const stops: (() => void | Promise<void>)[] = [];
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => stopAll().finally(() => process.exit(1)));
}
try {
  await (other ?? benchFlows)();
} finally {
  await stopAll();
}

async function stopAll() {
  for (const stop of stops.splice(0).reverse()) {
    await stop();
  }
}

async function benchFlows() {
  const database = await startDatabase();
  stops.push(database.stop);
  const pinning = pinGenerator();
  say(pinning);

  const port = await freePort();
  const profile = values.profile ? ['--cpu-prof', '--cpu-prof-dir', values.profile] : [];
  const tessera = await startTessera(database, { port, nodeOptions: profile });
  stops.push(tessera.stop);
  await seed(database.runtimeUrl);

  const subjects: Record<Subject, Running> = {
    tessera: { server: tessera, target: await signedIn(`http://localhost:${port}`) },
    rs256: await startBare('RS256'),
    es256: await startBare('ES256'),
  };
  const rows: Row[] = [];
  for (const flow of chosen) {
    rows.push(await measureFlow(flow, subjects));
    const { tessera: ours, rs256 } = rows.at(-1)!;
    say(`${flow.title}: ${Math.round(ours.perSecond)} and bare ${Math.round(rs256.perSecond)} a second`);
  }
  const costs = await countWithProxy(database, chosen);
  answer(
    { pinning, connections, seconds, rounds, rows, costs },
    `${speedTable(rows)}\nOne operation of Tessera:\n\n${costTable(costs)}`,
  );
}

async function benchLogins() {
  const database = await startDatabase();
  stops.push(database.stop);
  say(pinGenerator());
  const people = 200;
  const measured = [];
  for (const placement of placements()) {
    const port = await freePort();
    // Each browser comes from an address of its own, as the flood of many people does.
    const env = { TRUSTED_PROXIES: '127.0.0.1' };
    const profile = values.profile ? ['--cpu-prof', '--cpu-prof-dir', values.profile] : [];
    const cores = placement.list;
    const server = await startTessera(database, { port, cores, env, nodeOptions: profile });
    stops.push(server.stop);
    if (measured.length === 0) {
      await seed(database.runtimeUrl, { people });
    }
    const origin = `http://localhost:${port}`;
    const options = { origin, server, cores: placement, connections: connections!, people };
    // One round for the compiler of the server, which takes its time from the first sign-ins.
    await measureLogins({ ...options, seconds: seconds! });
    const figures = [];
    for (let round = 0; round < rounds!; round++) {
      figures.push(await measureLogins({ ...options, seconds: seconds! }));
      say(`${placement.title}: ${Math.round(figures.at(-1)!.signIns.perSecond)} sign-ins a second`);
    }
    measured.push({ placement, rounds: figures });
    stops.splice(stops.indexOf(server.stop), 1);
    await server.stop();
  }
  const costs = await countWithProxy(database, [freshSignIn]);
  answer(
    { connections, seconds, rounds, measured, costs },
    `${loginTable(measured)}\nOne sign-in:\n\n${costTable(costs)}`,
  );
}

async function benchEnumeration() {
  const database = await startDatabase();
  stops.push(database.stop);
  say(pinGenerator());
  const port = await freePort();
  const server = await startTessera(database, { port, env: { TRUSTED_PROXIES: '127.0.0.1' } });
  stops.push(server.stop);
  await seed(database.runtimeUrl);
  const samples = Number(values.samples);
  await seedEnumeration(database.runtimeUrl, samples);
  const sides = await measureEnumeration(`http://localhost:${port}`, samples);
  answer({ samples, sides }, enumerationTable(sides));
}

async function benchArgon2() {
  const results = await compareBindings({ seconds: seconds!, rounds: rounds! });
  answer({ seconds, rounds, results }, bindingTable(results));
}

async function benchVerify() {
  pinGenerator();
  const figures = await measureVerify({ seconds: seconds!, rounds: rounds! });
  answer({ seconds, rounds, figures }, verifyTable(figures));
}

async function benchWithTenant() {
  const database = await startDatabase();
  stops.push(database.stop);
  say(pinGenerator());
  const figures = await measureWithTenant(database, { seconds: seconds!, rounds: rounds! });
  answer({ seconds, rounds, figures }, withTenantTable(figures));
}

function answer(document: object, text: string) {
  process.stdout.write(values.json ? `${JSON.stringify(document, null, 2)}\n` : text);
}

async function signedIn(origin: string, count = connections!): Promise<Target> {
  return { origin, sessions: await signIn(origin, count) };
}

async function startBare(alg: 'RS256' | 'ES256'): Promise<Running> {
  const port = await freePort();
  const origin = `http://localhost:${port}`;
  const server = await startServer(['bench/bare.ts', String(port), alg], { stderr: 'ignore' });
  stops.push(server.stop);
  await untilReady(server, `${origin}/jwks`);
  return { server, target: await signedIn(origin) };
}

/** The servers take turns in every round, so that what else the machine does meets them alike. */
async function measureFlow(flow: Flow, subjects: Record<Subject, Running>): Promise<Row> {
  const measured: Record<Subject, Measurement[]> = { tessera: [], rs256: [], es256: [] };
  for (let round = 0; round < rounds!; round++) {
    for (const [name, { server, target }] of Object.entries(subjects)) {
      const before = await server.usage();
      const { operations, ...speed } = await runLoad(flow, target, {
        connections: connections!,
        seconds: seconds!,
      });
      const after = await server.usage();
      measured[name as Subject].push({
        ...speed,
        cpu_ms: (after.cpu_ms - before.cpu_ms) / operations,
        rss: after.rss,
      });
    }
  }
  const [tessera, rs256, es256] = (['tessera', 'rs256', 'es256'] as const).map((name) =>
    summarise(measured[name]),
  );
  return { flow, tessera: tessera!, rs256: rs256!, es256: es256! };
}

/** A process of its own, since the proxy and the counters cost time. */
async function countWithProxy(database: { runtimeUrl: string; ownerUrl: string }, counted: Flow[]) {
  const proxy = await startCountingProxy(database.runtimeUrl);
  stops.push(proxy.stop);
  const port = await freePort();
  const nodeOptions = ['--import', './bench/counter.ts'];
  const server = await startTessera({ ...database, runtimeUrl: proxy.url }, { port, nodeOptions });
  stops.push(server.stop);
  return countCosts(counted, await signedIn(`http://localhost:${port}`, 1), { server, proxy });
}

async function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
