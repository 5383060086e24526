import { collectDefaultMetrics, Registry } from 'prom-client';
import type { Services } from '#src/services.ts';
import { measureDatabase } from './database.ts';
import { measureLimits } from './limits.ts';
import { measurePasswords } from './passwords.ts';
import { makeRequestMeter, type RequestMeter } from './requests.ts';

export interface Metrics {
  registry: Registry;
  requests: RequestMeter;
}

export type MeasuredServices = Pick<Services, 'db' | 'hashing' | 'limits'>;

/** What is measured beside requests. Each puts its metrics into the registry and keeps them by itself. */
const measurements: ((registry: Registry, services: MeasuredServices) => void)[] = [
  measurePasswords,
  measureLimits,
  measureDatabase,
];

/**
 * Every metric of this process, in a registry of its own. Labels come from closed lists: no tenant, user, client or address is
 * ever one, so that their number is bounded and a scrape tells nothing of anybody. `docs/metrics.md` lists them.
 */
export function makeMetrics(services: MeasuredServices): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const measure of measurements) {
    measure(registry, services);
  }
  return { registry, requests: makeRequestMeter(registry) };
}
