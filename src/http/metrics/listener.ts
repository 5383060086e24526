import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import type { Log } from '#src/lib/log.ts';

export interface MetricsListener {
  port: number;
  close(): void;
}

/**
 * Serves `GET /metrics` of the registry, and nothing else, on a port of its own: it is for the network of the operator, and
 * the port of the public cannot lead to it. Rejects when the port is taken.
 */
export async function listenForScrapes(
  registry: Registry,
  { port, host, log }: { port: number; host: string; log: Log },
): Promise<MetricsListener> {
  const server = createServer(
    { maxHeaderSize: 8_192, headersTimeout: 10_000, requestTimeout: 10_000 },
    async (req, res) => {
      if (req.method !== 'GET' || req.url !== '/metrics') {
        res.writeHead(req.url === '/metrics' ? 405 : 404, { allow: 'GET' });
        res.end();
        return;
      }
      try {
        const text = await registry.metrics();
        res.writeHead(200, { 'content-type': registry.contentType, 'cache-control': 'no-store' });
        res.end(text);
      } catch (err) {
        log.error({ err }, 'the metrics could not be read');
        res.writeHead(500);
        res.end();
      }
    },
  );
  server.listen(port, host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
