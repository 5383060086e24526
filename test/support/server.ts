import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { makeMasterKeyText } from '#src/lib/master-key.ts';
import type { Fixture } from './fixture.ts';

export interface Node {
  /** Where this process listens, which behind a proxy is not the issuer. */
  url: string;
  /** Its log, a parsed line each. */
  log: Record<string, unknown>[];
  process: ChildProcess;
  /** Its data directory, which goes with it. */
  dataDir: string;
  /** Ends it as an operator would, and waits. */
  stop(): Promise<void>;
  /** kill -9, and waits. */
  kill(): Promise<void>;
}

/** Tests ask more often than people from one address; guessing stays limited as in production. */
const rateLimits = [
  'pages',
  'token_address',
  'token_client',
  'token_tenant',
  'par_address',
  'par_client',
  'calls',
  'sign_in_address',
]
  .map((name) => `${name}=1000000/1m`)
  .join(',');

/** For a test of what lies behind the limit of sign-ins: the lock of the account, or what a form is answered. */
export const unlimitedSignIns = { RATE_LIMITS: `${rateLimits},sign_in=1000000/15m` };

/** What every node of a test file seals with. */
export const masterKeys = makeMasterKeyText('test');

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Starts a server process as production does, on the fixture's database, and waits until it is ready. */
export async function startNode(
  { urls }: Pick<Fixture, 'urls'>,
  { issuer, env = {} }: { issuer?: string; env?: Record<string, string> } = {},
): Promise<Node> {
  const port = await freePort();
  const dataDir = mkdtempSync(path.join(tmpdir(), 'tessera-node-'));
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', 'src/main.ts', 'serve'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      PORT: String(port),
      ISSUER: issuer ?? `http://localhost:${port}`,
      DATABASE_URL: urls.runtimeUrl,
      MIGRATION_DATABASE_URL: urls.ownerUrl,
      MASTER_KEYS: masterKeys,
      RATE_LIMITS: rateLimits,
      TESSERA_DATA_DIR: dataDir,
      ...env,
    },
  });
  const exited = once(child, 'exit');
  child.once('exit', () => rmSync(dataDir, { recursive: true, force: true }));
  const log: Record<string, unknown>[] = [];
  const ready = new Promise<void>((resolve, reject) => {
    readline.createInterface({ input: child.stderr! }).on('line', (line) => {
      log.push(line.startsWith('{') ? JSON.parse(line) : { msg: line });
      if (log.at(-1)!['msg'] === 'ready') {
        resolve();
      }
    });
    exited.then(
      ([code]) => reject(new Error(`the server ended with ${code}: ${JSON.stringify(log.slice(-5))}`)),
      reject,
    );
  });
  const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
    child.kill(signal);
    await exited;
  };
  await ready;
  return {
    url: `http://localhost:${port}`,
    log,
    process: child,
    dataDir,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
}

export interface Cluster {
  issuer: string;
  nodes: Node[];
  stop(): Promise<void>;
}

/** Nodes behind a proxy that sends each request to the next one, so that every hop of a flow meets another process. */
export async function startCluster(
  fixture: Pick<Fixture, 'urls'>,
  size = 2,
  env: Record<string, string> = {},
): Promise<Cluster> {
  let turn = 0;
  let nodes: Node[] = [];
  const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
  const proxy = http.createServer((req, res) => {
    const node = nodes[turn++ % nodes.length]!;
    const { port } = new URL(node.url);
    const headers = {
      ...req.headers,
      'x-forwarded-for': req.socket.remoteAddress,
      'x-forwarded-proto': 'http',
    };
    const forward = http.request(
      { host: '127.0.0.1', port, method: req.method, path: req.url, headers, agent },
      (answer) => {
        res.writeHead(answer.statusCode!, answer.rawHeaders);
        answer.pipe(res);
      },
    );
    forward.on('error', () => res.destroy());
    req.pipe(forward);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const issuer = `http://localhost:${(proxy.address() as AddressInfo).port}`;
  nodes = await Promise.all(
    Array.from({ length: size }, () =>
      startNode(fixture, { issuer, env: { TRUSTED_PROXIES: '127.0.0.1', ...env } }),
    ),
  );
  return {
    issuer,
    nodes,
    async stop() {
      proxy.close();
      proxy.closeAllConnections();
      agent.destroy();
      await Promise.all(nodes.map((node) => node.stop()));
    },
  };
}
