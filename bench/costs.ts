import { setTimeout as sleep } from 'node:timers/promises';
import type { Work } from './counter.ts';
import type { Flow, Target } from './flows.ts';
import { openWorker } from './load.ts';
import type { ServerProcess } from './processes.ts';
import type { CountingProxy, Traffic } from './wire.ts';

/** What one operation of a flow costs Tessera, counted, not timed. */
export type Costs = { flow: string } & Traffic & Work;

const times = 50;
const idleMs = 3_000;

/** Counts over a sequence of operations, one after the other; what the server does by itself meanwhile is taken off. */
export async function countCosts(
  flows: Flow[],
  target: Target,
  { server, proxy }: { server: ServerProcess; proxy: CountingProxy },
): Promise<Costs[]> {
  await server.work();
  const before = proxy.traffic();
  await sleep(idleMs);
  const idle = difference(proxy.traffic(), before);

  const costs: Costs[] = [];
  for (const flow of flows) {
    const worker = await openWorker(flow, target, target.sessions[0]!);
    await server.work();
    const start = proxy.traffic();
    const startedAt = performance.now();
    for (let i = 0; i < times; i++) {
      await flow.run(worker);
    }
    // The last commit may still be under way.
    await sleep(20);
    const total = difference(proxy.traffic(), start);
    const idleShare = (performance.now() - startedAt) / idleMs;
    const work = await server.work();
    worker.connection.close();
    costs.push({
      flow: flow.title,
      flights: perOperation(total.flights - idle.flights * idleShare),
      messages: perOperation(total.messages - idle.messages * idleShare),
      statements: perOperation(total.statements - idle.statements * idleShare),
      rowsWritten: perOperation(total.rowsWritten - idle.rowsWritten * idleShare),
      adapter_calls: perOperation(work.adapter_calls),
      signatures: perOperation(work.signatures),
      hashes: perOperation(work.hashes),
    });
  }
  return costs;
}

const perOperation = (total: number) => Math.max(0, Math.round((total / times) * 10) / 10);

function difference(after: Traffic, before: Traffic): Traffic {
  return {
    flights: after.flights - before.flights,
    messages: after.messages - before.messages,
    statements: after.statements - before.statements,
    rowsWritten: after.rowsWritten - before.rowsWritten,
  };
}
