import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Node } from './server.ts';

/**
 * A load balancer as one stands before nodes: it sends requests in turn to those that say they are ready, keeps connections,
 * and tries another node when nobody listens. It never sends a request again that a node may have taken.
 */
export interface Balancer {
  url: string;
  /** The nodes that it may choose from. */
  use(nodes: Node[]): Promise<void>;
  /** Answers that it could not get, in words. */
  failures: string[];
  /** How many nodes are ready now. */
  ready(): number;
  stop(): void;
}

const probeMs = 100;

/** With `host` it is asked by that public name; otherwise by its own. */
export async function startBalancer({ host }: { host?: string } = {}): Promise<Balancer> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
  const failures: string[] = [];
  let nodes: Node[] = [];
  let ready: Node[] = [];
  let turn = 0;

  const probe = async () => {
    const asked = nodes;
    const states = await Promise.all(
      asked.map(({ url }) =>
        fetch(`${url}/readyz`).then(
          ({ status }) => status === 200,
          () => false,
        ),
      ),
    );
    ready = asked.filter((_, index) => states[index]);
  };
  const timer = setInterval(() => void probe(), probeMs);

  const forward = (node: Node, req: http.IncomingMessage, body: Buffer) =>
    new Promise<http.IncomingMessage>((resolve, reject) => {
      const headers = {
        ...req.headers,
        ...(host === undefined ? {} : { host }),
        'x-forwarded-for': req.socket.remoteAddress,
        'x-forwarded-proto': 'http',
      };
      const { port } = new URL(node.url);
      http
        .request({ host: '127.0.0.1', port, method: req.method, path: req.url, headers, agent }, resolve)
        .on('error', reject)
        .end(body);
    });

  const server = http.createServer(async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) {
      chunks.push(chunk as Buffer);
    }
    const tries = [...ready];
    for (let left = tries.length; left > 0; left--) {
      const node = tries[turn++ % tries.length]!;
      try {
        const answer = await forward(node, req, Buffer.concat(chunks));
        res.writeHead(answer.statusCode!, answer.rawHeaders.filter(notConnection));
        answer.pipe(res);
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') {
          failures.push(`${req.method} ${req.url?.split('?')[0]}: ${error}`);
          break;
        }
      }
    }
    res.writeHead(502).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}`,
    async use(next) {
      nodes = next;
      await probe();
    },
    failures,
    ready: () => ready.length,
    stop() {
      clearInterval(timer);
      server.close();
      server.closeAllConnections();
      agent.destroy();
    },
  };
}

/** The node's word about its own connection does not concern the one to the client. */
function notConnection(_: string, index: number, raw: string[]): boolean {
  return raw[index - (index % 2)]!.toLowerCase() !== 'connection';
}
