import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '#src/config.ts';
import { checkProtection, probeIsolation } from '#src/database/protection.ts';
import { startDemo } from '#src/demo/start.ts';
import { makeApp } from '#src/http/app.ts';
import { listenForScrapes } from '#src/http/metrics/listener.ts';
import { makeMetrics } from '#src/http/metrics/registry.ts';
import { startJobs } from '#src/jobs/jobs.ts';
import type { Log } from '#src/lib/log.ts';
import { makeLiveProvider } from '#src/oidc/live-provider.ts';
import { makeServices, type Services } from '#src/services.ts';

export interface RunningServer {
  services: Services;
  /** The issuer that it answers as. */
  issuer: string;
  /**
   * Is ready no more; in production it then takes requests for five seconds more. Finishes those under way, closes the
   * database. Can be called twice.
   */
  stop(): Promise<void>;
}

/** So long a stopping process that is not ready any more still takes requests, until every proxy has heard of it. */
const noticeMs = 5_000;
/** So long the requests under way may then take. With the notice it fits into the 30 seconds that orchestrators give. */
const drainMs = 20_000;

/** Raised when the database would not keep tenants apart; names each table or role. */
export class UnprotectedDatabaseError extends Error {
  override readonly name = 'UnprotectedDatabaseError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(['The database would not keep tenants apart:', ...problems].join('\n- '));
    this.problems = problems;
  }
}

/** Starts the server; refuses when a table, a role or a live probe shows that a tenant could read another's rows. */
export async function startServer(config: Config, log: Log): Promise<RunningServer> {
  const server = createServer({
    maxHeaderSize: 16_384,
    headersTimeout: 10_000,
    requestTimeout: 30_000,
    keepAliveTimeout: 65_000,
  });
  server.on('request', answerStarting);
  await listen(server, config);
  const issuer =
    config.port === 0
      ? config.issuer.replace(/:0$/, `:${(server.address() as AddressInfo).port}`)
      : config.issuer;
  let services: Services | undefined;
  try {
    services = await makeServices({ ...config, issuer }, { log });
    return await run(server, services);
  } catch (error) {
    server.close();
    await services?.close();
    throw error;
  }
}

async function run(server: Server, services: Services): Promise<RunningServer> {
  const { catalogue, config, db, limits, log } = services;
  const problems = [...(await checkProtection(db)), ...(await probeIsolation(db))];
  if (problems.length) {
    throw new UnprotectedDatabaseError(problems);
  }
  await Promise.all([catalogue.start(), limits.start()]);
  const provider = await makeLiveProvider(services);
  const metrics = await startMetrics(services).catch((error: unknown) => {
    provider.stop();
    throw error;
  });
  const jobs = await startJobs(services);
  let accepting = true;
  const underWay = new Set<ServerResponse>();
  server.off('request', answerStarting);
  server.on('request', (_req, res) => {
    underWay.add(res);
    res.once('close', () => underWay.delete(res));
    if (!accepting) {
      res.setHeader('connection', 'close');
    }
  });
  const app = makeApp({ services, provider, accepting: () => accepting, requests: metrics?.requests });
  server.on('request', app.callback());
  log.info(
    {
      issuer: config.issuer,
      port: (server.address() as AddressInfo).port,
      ...(metrics ? { metrics_port: metrics.port } : {}),
    },
    'ready',
  );

  let stopping: Promise<void> | undefined;
  const stop = async () => {
    accepting = false;
    // Whoever keeps its connection would ask on it again.
    for (const res of underWay) {
      if (!res.headersSent) {
        res.setHeader('connection', 'close');
      }
    }
    await Promise.all([jobs.stop(), config.production ? delay(noticeMs) : undefined]);
    await closeServer(server);
    provider.stop();
    // Up to here, so that what happens in the last minute is seen.
    metrics?.close();
    await services.close();
    log.info('stopped');
  };
  return {
    services,
    issuer: config.issuer,
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}

/**
 * `tessera serve`: the server, and with the embedded database its demo, until SIGINT or SIGTERM. Ends when all requests under
 * way are answered; a second signal changes nothing.
 */
export async function serve(config: Config, log: Log, stdout = process.stdout): Promise<void> {
  const stopped = Promise.withResolvers<void>();
  const server = await startServer(config, log);
  const demo = config.demo ? startDemo(server.services, stdout) : undefined;
  const stop = async () => {
    await demo?.then(({ close }) => close()).catch(() => {});
    await server.stop();
    stopped.resolve();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => void stop().catch(stopped.reject));
  }
  await demo?.catch((err: unknown) =>
    log.error({ err }, 'the demo did not start; the server runs without it'),
  );
  await stopped.promise;
}

/** Until the app is there: a probe that comes while the database migrates gets an answer, not a silence. */
function answerStarting(req: IncomingMessage, res: ServerResponse) {
  const alive = req.url === '/healthz';
  res.writeHead(alive ? 200 : 503, {
    'content-type': 'application/json; charset=utf-8',
    ...(alive ? {} : { 'retry-after': '2' }),
  });
  res.end(JSON.stringify(alive ? { status: 'ok' } : { error: 'temporarily_unavailable' }));
}

async function startMetrics(services: Services) {
  const { config, log } = services;
  if (config.metricsPort === undefined) {
    return undefined;
  }
  const { registry, requests } = makeMetrics(services);
  const listener = await listenForScrapes(registry, { port: config.metricsPort, host: config.host, log });
  return { ...listener, requests };
}

function listen(server: Server, { port, host }: Config): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), drainMs);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}
