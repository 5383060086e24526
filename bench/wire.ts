import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';

/** What passed between a server and PostgreSQL. */
export interface Traffic {
  /** Times that the server sent something when everything sent before had been answered: the waits. */
  flights: number;
  /** Frontend messages: query, parse, bind, describe, execute, sync. */
  messages: number;
  /** Statements that PostgreSQL completed. */
  statements: number;
  /** Rows inserted, updated or deleted. */
  rowsWritten: number;
}

export interface CountingProxy {
  /** The URL given, through the proxy. */
  url: string;
  /** Totals since the start. */
  traffic(): Traffic;
  stop(): void;
}

/**
 * A proxy before PostgreSQL that counts. It holds every answer back for a moment, so that what a server sends together is
 * seen together whatever the scheduler does.
 */
export async function startCountingProxy(databaseUrl: string): Promise<CountingProxy> {
  const { port } = new URL(databaseUrl);
  const traffic: Traffic = { flights: 0, messages: 0, statements: 0, rowsWritten: 0 };
  const proxy = net.createServer({ noDelay: true }, (frontend) => {
    const backend = net.connect({ host: '127.0.0.1', port: Number(port), noDelay: true });
    count(frontend, backend, traffic);
    frontend.on('close', () => backend.destroy()).on('error', () => {});
    backend.on('close', () => frontend.destroy()).on('error', () => {});
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const url = new URL(databaseUrl);
  url.port = String((proxy.address() as AddressInfo).port);
  return {
    url: url.href,
    traffic: () => ({ ...traffic }),
    stop: () => proxy.close(),
  };
}

const holdBackMs = 2;

function count(frontend: Socket, backend: Socket, traffic: Traffic) {
  let unanswered = 0;
  // The first message of a connection has no type.
  const readRequest = makeReader(1, (type) => {
    traffic.messages++;
    if (type === 'Q' || type === 'S') {
      unanswered++;
    }
  });
  const readAnswer = makeReader(0, (type, content) => {
    if (type === 'Z') {
      unanswered = Math.max(0, unanswered - 1);
    } else if (type === 'C') {
      traffic.statements++;
      const [command, ...numbers] = content.toString('latin1').replace('\0', '').split(' ');
      if (command === 'INSERT' || command === 'UPDATE' || command === 'DELETE') {
        traffic.rowsWritten += Number(numbers.at(-1));
      }
    }
  });
  frontend.on('data', (chunk) => {
    if (unanswered === 0) {
      traffic.flights++;
    }
    readRequest(chunk);
    backend.write(chunk);
  });
  backend.on('data', (chunk) => {
    setTimeout(() => {
      readAnswer(chunk);
      frontend.write(chunk);
    }, holdBackMs);
  });
}

/** Splits a stream of the protocol into messages; the first `untyped` of them are skipped. */
function makeReader(untyped: number, onMessage: (type: string, content: Buffer) => void) {
  let skip = untyped;
  let rest = Buffer.alloc(0);
  return (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const header = skip > 0 ? 0 : 1;
      if (rest.length < header + 4) {
        return;
      }
      const length = header + rest.readInt32BE(header);
      if (rest.length < length) {
        return;
      }
      if (skip > 0) {
        skip--;
      } else {
        onMessage(String.fromCharCode(rest[0]!), rest.subarray(5, length));
      }
      rest = rest.subarray(length);
    }
  };
}
