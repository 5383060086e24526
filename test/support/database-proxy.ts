import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * pass: as if it were not there. refuse: nobody listens. reset: connections break. stall: bytes go nowhere, and nobody says so.
 * slow: each message takes five seconds.
 */
export type DatabaseProxyMode = 'pass' | 'refuse' | 'reset' | 'stall' | 'slow';

export interface DatabaseProxy {
  /** The same URL, by way of the proxy. */
  through(url: string): string;
  set(mode: DatabaseProxyMode): Promise<void>;
  stop(): void;
}

const slowMs = 5_000;

/** Stands between a server process and PostgreSQL, and can be the network that fails. */
export async function startDatabaseProxy(databaseUrl: string): Promise<DatabaseProxy> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let mode: DatabaseProxyMode = 'pass';
  let changed = Promise.withResolvers<void>();

  const hold = async () => {
    while (mode === 'stall') {
      await changed.promise;
    }
    if (mode === 'slow') {
      await Promise.race([delay(slowMs, undefined, { ref: false }), changed.promise]);
    }
  };
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  };
  const forward = async (from: Socket, to: Socket) => {
    try {
      for await (const bytes of from) {
        await hold();
        to.write(bytes);
      }
    } catch {
      // It broke, as is the purpose.
    }
    to.destroy();
  };
  const server = createServer((downstream) => {
    keep(downstream);
    if (mode === 'reset') {
      downstream.resetAndDestroy();
      return;
    }
    const upstream = connect(Number(target.port), target.hostname);
    keep(upstream);
    void forward(downstream, upstream);
    void forward(upstream, downstream);
  });
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const cut = () => {
    server.close();
    for (const socket of sockets) {
      socket.resetAndDestroy();
    }
  };
  const port = await listen(0);

  return {
    through(url) {
      const changedUrl = new URL(url);
      changedUrl.hostname = '127.0.0.1';
      changedUrl.port = String(port);
      return changedUrl.href;
    },
    async set(next) {
      mode = next;
      if (next === 'refuse' || next === 'reset') {
        cut();
      }
      if (next !== 'refuse' && !server.listening) {
        await listen(port);
      }
      changed.resolve();
      changed = Promise.withResolvers();
    },
    stop: cut,
  };
}
