import { once } from 'node:events';
import { hashingLanes } from '#src/lib/threads.ts';
import { signInAfresh } from './browser.ts';
import { connect } from './connection.ts';
import { type Flow, flows, type Target } from './flows.ts';
import { personEmail } from './identities.ts';
import { type LoadResult, runLoad, runPaced, summariseLatencies } from './load.ts';
import { startServer } from './processes.ts';

/** One round of sign-ins on one server. */
export interface LoginRound {
  /** Passwords a second with nothing around them, on the cores of the server: as many at once as it hashes, and one a core. */
  raw: { lanes: number; cores: number };
  signIns: LoadResult & { busy: number };
  /** Client credentials with nothing else to do, and while people sign in: at a fixed rate, and as fast as they can. */
  paced: { idle: LoadResult; flooded: LoadResult };
  saturated: { idle: LoadResult; flooded: LoadResult };
}

export interface LoginOptions {
  origin: string;
  /** Cores of the server, in the form of taskset, and how many they are. */
  cores: { list: string; count: number };
  connections: number;
  seconds: number;
  /** How many users there are. */
  people: number;
}

const machineFlow = flows.find(({ name }) => name === 'client-credentials') as Flow;
const machineRate = 100;

/** Measures sign-ins beside the bare hashes, and what a flood of them does to a machine that asks for tokens. */
export async function measureLogins(options: LoginOptions): Promise<LoginRound> {
  const { origin, cores, connections, seconds } = options;
  const hashRate = (lanes: number) => measureHashRate({ lanes, seconds, cores: cores.list });
  const target: Target = { origin, sessions: Array.from({ length: connections }, () => '') };
  const paced = () => runPaced(machineFlow, target, { perSecond: machineRate, seconds });
  const saturated = () => runLoad(machineFlow, target, { connections, seconds });

  const lanes = await hashRate(hashingLanes(cores.count));
  const allCores = cores.count === hashingLanes(cores.count) ? lanes : await hashRate(cores.count);
  const signIns = await startFlood(options).stopAfter(seconds);
  const idle = { paced: await paced(), saturated: await saturated() };
  const flood = startFlood({ ...options, connections: 2 * connections });
  const flooded = { paced: await paced(), saturated: await saturated() };
  await flood.stopAfter(0);
  return {
    raw: { lanes, cores: allCores },
    signIns,
    paced: { idle: idle.paced, flooded: flooded.paced },
    saturated: { idle: idle.saturated, flooded: flooded.saturated },
  };
}

async function measureHashRate({ lanes, seconds, cores }: { lanes: number; seconds: number; cores: string }) {
  const parameters = ['bench/hash-rate.ts', String(lanes), String(seconds)];
  const { child, stop } = await startServer(parameters, {
    cores,
    env: { UV_THREADPOOL_SIZE: String(lanes) },
  });
  const [perSecond] = await once(child, 'message');
  await stop();
  return perSecond as number;
}

/** Browsers that sign in, forget everything and sign in again, each time as the next of all the people. */
export function startFlood({ origin, connections, people }: LoginOptions) {
  const latencies: number[] = [];
  let busy = 0;
  let turn = 0;
  let open = true;
  const browse = async () => {
    const connection = await connect(origin);
    while (open) {
      const startedAt = performance.now();
      const person = turn++;
      const ip = `10.${(person >> 16) & 255}.${(person >> 8) & 255}.${person & 255}`;
      const end = await signInAfresh(connection, { email: personEmail(person % people), ip });
      if (end === 'code') latencies.push(performance.now() - startedAt);
      else busy++;
    }
    connection.close();
  };
  const startedAt = performance.now();
  const browsers = Promise.all(Array.from({ length: connections }, browse));
  return {
    async stopAfter(seconds: number): Promise<LoadResult & { busy: number }> {
      const timer = setTimeout(() => {
        open = false;
      }, seconds * 1000);
      await browsers.finally(() => clearTimeout(timer));
      const elapsed = performance.now() - startedAt;
      return { ...summariseLatencies(latencies), perSecond: (latencies.length / elapsed) * 1000, busy };
    },
  };
}
