import { readConfig } from '#src/config.ts';
import { makeLog } from '#src/lib/log.ts';
import { startServer } from '#src/serve.ts';

const config = readConfig(process.env);
const log = makeLog({ level: config.logLevel });
const server = await startServer(config, log);
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => void server.stop());
}
