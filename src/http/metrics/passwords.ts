import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { MeasuredServices } from './registry.ts';

const seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5];

/** The queue for password hashes: how long, how slow, and how often it is full. */
export function measurePasswords(registry: Registry, { hashing }: MeasuredServices): void {
  const registers = [registry];
  const { load } = hashing;
  new Gauge({
    name: 'tessera_password_queue_depth',
    help: 'Passwords that wait to be hashed.',
    registers,
    collect() {
      this.set(load.depth());
    },
  });
  new Gauge({
    name: 'tessera_password_queue_running',
    help: 'Passwords that are being hashed.',
    registers,
    collect() {
      this.set(load.running());
    },
  });
  const waited = new Histogram({
    name: 'tessera_password_queue_wait_seconds',
    help: 'Time that a password waited until it was hashed.',
    labelNames: ['operation'] as const,
    buckets: seconds,
    registers,
  });
  const hashed = new Histogram({
    name: 'tessera_password_hash_seconds',
    help: 'Time that hashing a password took.',
    labelNames: ['operation'] as const,
    buckets: seconds,
    registers,
  });
  const rejected = new Counter({
    name: 'tessera_password_queue_rejected_total',
    help: 'Passwords that were turned away, since too many waited.',
    labelNames: ['operation'] as const,
    registers,
  });
  load.onJob(({ operation, waitMs, runMs }) => {
    if (runMs === undefined) {
      rejected.inc({ operation });
      return;
    }
    waited.observe({ operation }, waitMs / 1000);
    hashed.observe({ operation }, runMs / 1000);
  });
}
