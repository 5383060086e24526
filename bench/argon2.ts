import nodeCrypto from 'node:crypto';
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { hash } from '@node-rs/argon2';
import argon2 from 'argon2';
import { password } from './identities.ts';
import { median } from './tables.ts';

export interface BindingResult {
  name: string;
  /** Hashes a second, one after the other. */
  serial: number;
  /** Hashes a second, as many at once as there are cores. */
  parallel: number;
}

const cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };
const derive = promisify(nodeCrypto.argon2);

const bindings: Record<string, () => Promise<unknown>> = {
  // Argon2id, a const enum of the library.
  '@node-rs/argon2': () => hash(password, { ...cost, algorithm: 2 }),
  argon2: () => argon2.hash(password, { ...cost, type: argon2.argon2id }),
  'node:crypto': () =>
    derive('argon2id', {
      message: password,
      nonce: nodeCrypto.randomBytes(16),
      memory: cost.memoryCost,
      passes: cost.timeCost,
      parallelism: cost.parallelism,
      tagLength: 32,
    }),
};

/** Hashes with each binding in turn, at m=19456, t=2, p=1; medians of the rounds. */
export async function compareBindings({
  seconds,
  rounds,
}: {
  seconds: number;
  rounds: number;
}): Promise<BindingResult[]> {
  const measured = Object.entries(bindings).map(([name, work]) => ({
    name,
    work,
    serial: [] as number[],
    parallel: [] as number[],
  }));
  for (let round = 0; round < rounds; round++) {
    for (const { work, serial, parallel } of measured) {
      await work();
      serial.push(await rate(work, 1, seconds));
      parallel.push(await rate(work, availableParallelism(), seconds));
    }
  }
  return measured.map(({ name, serial, parallel }) => ({
    name,
    serial: median(serial),
    parallel: median(parallel),
  }));
}

async function rate(work: () => Promise<unknown>, lanes: number, seconds: number): Promise<number> {
  const startedAt = performance.now();
  const until = startedAt + seconds * 1000;
  let done = 0;
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      while (performance.now() < until) {
        await work();
        done++;
      }
    }),
  );
  return (done / (performance.now() - startedAt)) * 1000;
}
