import { startEmbedded } from '#src/database/embedded.ts';
import { paintFor } from '#src/lib/paint.ts';
import type { Services } from '#src/services.ts';
import { demoFile, ensureDemo } from './demo.ts';
import { startDemoOrders } from './orders.ts';
import { printDemo } from './print.ts';
import { proveIsolation } from './proof.ts';

/** Makes the demo where it is missing, runs the example API beside the server, and prints what a first token opens. */
export async function startDemo(
  services: Services,
  stdout: NodeJS.WriteStream,
): Promise<{ close(): Promise<void> }> {
  const { config, log } = services;
  // Joins the server that runs already.
  const embedded = await startEmbedded({ dataDir: config.dataDir, log });
  const closing: (() => Promise<void>)[] = [() => embedded.stop()];
  const close = async () => {
    for (const end of closing.splice(0)) {
      await end();
    }
  };
  try {
    const demo = await ensureDemo(services);
    const orders = await startDemoOrders(demo, embedded.url, log);
    closing.unshift(() => orders.close());
    const proofs = await proveIsolation(demo, orders.url);
    stdout.write(
      printDemo({ demo, proofs, ordersUrl: orders.url, file: demoFile(services) }, paintFor(stdout)),
    );
    return { close };
  } catch (error) {
    await close();
    throw error;
  }
}
