import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { expect, test } from '@jest/globals';
import { readConfig } from '#src/config.ts';
import { makeLog } from '#src/lib/log.ts';
import { makeMasterKeyText } from '#src/lib/master-key.ts';
import { startServer } from '#src/serve.ts';
import { eventually } from '#test/support/eventually.ts';
import { freePort } from '#test/support/server.ts';

test('answers probes while it still waits for its database [health]', async () => {
  const sockets: Socket[] = [];
  const silent = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const started = startServer(
    readConfig({
      PORT: String(port),
      DATABASE_URL: `postgres://user@127.0.0.1:${(silent.address() as AddressInfo).port}/none?sslmode=disable`,
      MASTER_KEYS: makeMasterKeyText('test'),
    }),
    makeLog({ level: 'silent' }),
  ).catch((error: Error) => error);

  const alive = await eventually(() => fetch(`${url}/healthz`).catch(() => undefined));
  expect([alive.status, await alive.json()]).toEqual([200, { status: 'ok' }]);
  const ready = await fetch(`${url}/readyz`);
  expect([ready.status, ready.headers.get('retry-after')]).toEqual([503, '2']);
  expect(await ready.json()).toEqual({ error: 'temporarily_unavailable' });

  for (const socket of sockets) {
    socket.destroy();
  }
  silent.close();
  expect(await started).toBeInstanceOf(Error);
});
