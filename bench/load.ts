import { connect } from './connection.ts';
import type { Flow, Target, Worker } from './flows.ts';

export interface LoadResult {
  operations: number;
  perSecond: number;
  /** Milliseconds of one operation. */
  p50: number;
  p99: number;
}

/** Runs the flow on every connection at once, each asking again as soon as it is answered. */
export async function runLoad(
  flow: Flow,
  target: Target,
  { connections, seconds }: { connections: number; seconds: number },
): Promise<LoadResult> {
  const workers = await Promise.all(
    target.sessions.slice(0, connections).map((cookie) => openWorker(flow, target, cookie)),
  );
  const latencies: number[] = [];
  const startedAt = performance.now();
  const until = startedAt + seconds * 1000;
  await Promise.all(
    workers.map(async (worker) => {
      for (let now = performance.now(); now < until; ) {
        await flow.run(worker);
        const answered = performance.now();
        latencies.push(answered - now);
        now = answered;
      }
      worker.connection.close();
    }),
  );
  const elapsed = performance.now() - startedAt;
  latencies.sort((a, b) => a - b);
  const percentile = (share: number) => latencies[Math.floor((latencies.length - 1) * share)]!;
  return {
    operations: latencies.length,
    perSecond: (latencies.length / elapsed) * 1000,
    p50: percentile(0.5),
    p99: percentile(0.99),
  };
}

/** A worker that has run the flow once. */
export async function openWorker(flow: Flow, target: Target, cookie: string): Promise<Worker> {
  const worker = { connection: await connect(target.origin), cookie, token: '' };
  await flow.prepare?.(worker);
  await flow.run(worker);
  return worker;
}
