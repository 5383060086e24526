import { once } from 'node:events';
import { cpus } from 'node:os';
import { hashingLanes } from '#src/lib/threads.ts';
import { signInAfresh } from './browser.ts';
import { connect } from './connection.ts';
import { type Flow, flows, type Target } from './flows.ts';
import { email, personEmail } from './identities.ts';
import { type LoadResult, runLoad, runPaced, summariseLatencies } from './load.ts';
import { type ServerProcess, startServer } from './processes.ts';

/** The cores that a server may use: in the form of taskset, and how many they are. */
export interface Placement {
  title: string;
  list: string;
  count: number;
}

/** One round of sign-ins on one server. */
export interface LoginRound {
  /** Passwords a second with nothing around them, on the cores of the server: as many at once as it hashes, and one a core. */
  raw: { lanes: number; cores: number };
  signIns: FloodResult;
  /** Processor time of the server for one sign-in, its hash included. */
  cpu_ms: number;
  /** Client credentials with nothing else to do, and while people sign in: at a fixed rate, and as fast as they can. */
  paced: Pair;
  saturated: Pair;
  /** What is left of the sign-ins while machines ask as fast as they can. */
  besideMachines: FloodResult;
}

export interface Pair {
  idle: LoadResult;
  flooded: LoadResult;
}

type FloodResult = LoadResult & { busy: number };

export interface LoginOptions {
  origin: string;
  server: ServerProcess;
  cores: Placement;
  connections: number;
  seconds: number;
  /** How many users there are. */
  people: number;
}

/** A whole sign-in as a flow, to count what it costs. */
export const freshSignIn: Flow = {
  name: 'sign-in',
  title: 'sign-in, fresh browser',
  async run({ connection }) {
    await signInAfresh(connection, { email, ip: '10.0.0.1' });
  },
};

const machineFlow = flows.find(({ name }) => name === 'client-credentials') as Flow;
const machineRate = 100;

/** One core, as the flows are measured, and all of them, which the server then shares with the load generator. */
export function placements(): Placement[] {
  // Not those that this process may use: it has been pinned by now.
  const count = cpus().length;
  return [
    { title: 'server on core 0', list: '0', count: 1 },
    { title: `server on all ${count} cores`, list: `0-${count - 1}`, count },
  ];
}

/** Measures sign-ins beside the bare hashes, and what a flood of them does to a machine that asks for tokens. */
export async function measureLogins(options: LoginOptions): Promise<LoginRound> {
  const { origin, server, cores, connections, seconds } = options;
  const hashRate = (lanes: number) => measureHashRate({ lanes, seconds, cores: cores.list });
  const target: Target = { origin, sessions: Array.from({ length: connections }, () => '') };
  const paced = () => runPaced(machineFlow, target, { perSecond: machineRate, seconds });
  const saturated = () => runLoad(machineFlow, target, { connections, seconds });

  const raw = { lanes: await hashRate(hashingLanes(cores.count)), cores: await hashRate(cores.count) };
  const before = await server.usage();
  const signIns = await startFlood(options).stopAfter(seconds);
  const after = await server.usage();
  const idle = { paced: await paced(), saturated: await saturated() };
  const flood = () => startFlood({ ...options, connections: 2 * connections });
  const flooding = flood();
  const pacedFlooded = await paced();
  await flooding.stopAfter(0);
  const besides = flood();
  const saturatedFlooded = await saturated();
  return {
    raw,
    signIns,
    cpu_ms: (after.cpu_ms - before.cpu_ms) / signIns.operations,
    paced: { idle: idle.paced, flooded: pacedFlooded },
    saturated: { idle: idle.saturated, flooded: saturatedFlooded },
    besideMachines: await besides.stopAfter(0),
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
function startFlood({ origin, connections, people }: LoginOptions) {
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
    /** Lets it go on for so long, and waits for the sign-ins under way. */
    async stopAfter(seconds: number): Promise<FloodResult> {
      const timer = setTimeout(() => {
        open = false;
      }, seconds * 1000);
      await browsers.finally(() => clearTimeout(timer));
      const elapsed = performance.now() - startedAt;
      return { ...summariseLatencies(latencies), perSecond: (latencies.length / elapsed) * 1000, busy };
    },
  };
}
