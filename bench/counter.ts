import nodeCrypto from 'node:crypto';
import { registerHooks, syncBuiltinESMExports } from 'node:module';
import type { Question } from './probe.ts';

// Loaded into the Tessera that is counted, never into one that is timed: counts what it does, and tells when asked.

/** Since the question before. */
export interface Work {
  adapter_calls: number;
  signatures: number;
  hashes: number;
}

const nothing: Work = { adapter_calls: 0, signatures: 0, hashes: 0 };
let work = { ...nothing };

type Callable = (...parameters: unknown[]) => unknown;

function count(owner: object, name: string, kind: keyof Work) {
  const methods = owner as Record<string, Callable>;
  const original = methods[name]!;
  methods[name] = function (...parameters) {
    work[kind]++;
    return original.apply(this, parameters);
  };
}

count(Object.getPrototypeOf(globalThis.crypto.subtle), 'sign', 'signatures');
for (const kind of [nodeCrypto.createHash('sha256'), nodeCrypto.createHmac('sha256', '')]) {
  count(Object.getPrototypeOf(kind), 'digest', 'hashes');
}
count(nodeCrypto, 'hash', 'hashes');
syncBuiltinESMExports();

const countAdapter = (makeAdapter: Callable) => (dependencies: unknown) => {
  const factory = makeAdapter(dependencies) as (model: string) => object;
  return (model: string) => {
    const adapter = factory(model);
    for (const name of Object.keys(adapter)) {
      count(adapter, name, 'adapter_calls');
    }
    return adapter;
  };
};
Object.assign(globalThis, { countAdapter });

// A module's export can be replaced from inside that module only.
registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    return url.endsWith('/src/oidc/adapter.ts')
      ? { ...loaded, source: `${loaded.source}\nmakeAdapter = countAdapter(makeAdapter);` }
      : loaded;
  },
});

process.on('message', (question: Question) => {
  if (question === 'work') {
    process.send!(work);
    work = { ...nothing };
  }
});
process.channel?.unref();
