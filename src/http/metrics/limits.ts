import { Counter, type Registry } from 'prom-client';
import type { Services } from '#src/services.ts';

/** How often each limit turned somebody away. */
export function measureLimits(registry: Registry, { limits }: Pick<Services, 'limits'>): void {
  const refused = new Counter({
    name: 'tessera_rate_limit_refused_total',
    help: 'Requests turned away with 429, by the limit that was used up',
    labelNames: ['limit'],
    registers: [registry],
  });
  limits.onRefused((limit) => refused.inc({ limit }));
}
