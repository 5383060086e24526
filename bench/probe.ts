import nodeCrypto, { type Hash, type Hmac } from 'node:crypto';
import { Session } from 'node:inspector/promises';
import { syncBuiltinESMExports } from 'node:module';

// Loaded into a server before its own code: answers the bench over the channel between parent and child.

export interface Usage {
  /** Processor time of the whole process since its start, in milliseconds. */
  cpu_ms: number;
  rss: number;
}

export interface Work {
  adapter_calls: number;
  signatures: number;
  hashes: number;
}

export type Question = 'usage' | 'work';

const adapterMethods = new Set([
  'find',
  'findByUid',
  'findByUserCode',
  'upsert',
  'consume',
  'destroy',
  'revokeByGrantId',
]);

let signatures = 0;
let hashes = 0;
let session: Session | undefined;

/** Counts from the first question on: calls of the adapter's methods come from V8, the rest from wrapped functions. */
async function readWork(): Promise<Work> {
  if (!session) {
    session = new Session();
    session.connect();
    await session.post('Profiler.enable');
    await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
    countCrypto();
  }
  // Each reading gives the calls since the one before.
  const { result } = await session.post('Profiler.takePreciseCoverage');
  const functions = result
    .filter(({ url }) => url.endsWith('/src/oidc/adapter.ts'))
    .flatMap((script) => script.functions);
  const adapter_calls = functions
    .filter(({ functionName }) => adapterMethods.has(functionName))
    .reduce((sum, { ranges }) => sum + (ranges[0]?.count ?? 0), 0);
  const work = { adapter_calls, signatures, hashes };
  signatures = 0;
  hashes = 0;
  return work;
}

function countCrypto() {
  const subtle = Object.getPrototypeOf(globalThis.crypto.subtle) as SubtleCrypto;
  const { sign } = subtle;
  subtle.sign = function (...parameters) {
    signatures++;
    return sign.apply(this, parameters);
  } as typeof sign;
  for (const kind of [nodeCrypto.createHash('sha256'), nodeCrypto.createHmac('sha256', '')]) {
    const prototype = Object.getPrototypeOf(kind) as Hash & Hmac;
    const { digest } = prototype;
    prototype.digest = function (this: Hash, ...parameters: []) {
      hashes++;
      return digest.apply(this, parameters);
    } as typeof digest;
  }
  const { hash } = nodeCrypto;
  nodeCrypto.hash = ((...parameters: Parameters<typeof hash>) => {
    hashes++;
    return hash(...parameters);
  }) as typeof hash;
  syncBuiltinESMExports();
}

function readUsage(): Usage {
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  return { cpu_ms: (userCPUTime + systemCPUTime) / 1000, rss: process.memoryUsage.rss() };
}

process.on('message', async (question: Question) => {
  process.send!(question === 'usage' ? readUsage() : await readWork());
});
// The server ends when its own work ends.
process.channel?.unref();
