import { readConfig } from '#src/config.ts';
import { makeLog } from '#src/lib/log.ts';
import { serve } from '#src/serve.ts';

const config = readConfig(process.env);
await serve(config, makeLog({ level: config.logLevel }));
