import { setTimeout as sleep } from 'node:timers/promises';
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
  return { ...summariseLatencies(latencies), perSecond: (latencies.length / elapsed) * 1000 };
}

/**
 * Asks at a fixed rate, whatever the answers do, as clients that know nothing of one another. A latency counts from the moment
 * that the request was due.
 */
export async function runPaced(
  flow: Flow,
  target: Target,
  { perSecond, seconds }: { perSecond: number; seconds: number },
): Promise<LoadResult> {
  const idle: Worker[] = [];
  const latencies: number[] = [];
  const asked: Promise<void>[] = [];
  const ask = async (due: number) => {
    const worker = idle.pop() ?? (await openWorker(flow, target, ''));
    await flow.run(worker);
    latencies.push(performance.now() - due);
    idle.push(worker);
  };
  // As many connections as could be busy at once, so that none is opened while time counts.
  idle.push(...(await Promise.all(Array.from({ length: 32 }, () => openWorker(flow, target, '')))));
  const startedAt = performance.now();
  for (let index = 0; index < perSecond * seconds; index++) {
    const due = startedAt + (index * 1000) / perSecond;
    await sleep(Math.max(0, due - performance.now()));
    asked.push(ask(due));
  }
  await Promise.all(asked);
  for (const { connection } of idle) {
    connection.close();
  }
  return { ...summariseLatencies(latencies), perSecond };
}

/** How many, and the middle and the worst but one in a hundred. Sorts what it is given. */
export function summariseLatencies(latencies: number[]): Omit<LoadResult, 'perSecond'> {
  latencies.sort((a, b) => a - b);
  const percentile = (share: number) => latencies[Math.floor((latencies.length - 1) * share)] ?? Number.NaN;
  return { operations: latencies.length, p50: percentile(0.5), p99: percentile(0.99) };
}

/** A worker that has run the flow once. */
export async function openWorker(flow: Flow, target: Target, cookie: string): Promise<Worker> {
  const worker = { connection: await connect(target.origin), cookie, token: '' };
  await flow.prepare?.(worker);
  await flow.run(worker);
  return worker;
}
