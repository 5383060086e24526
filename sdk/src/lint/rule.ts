import type { Finding } from '../findings.ts';
import type { Schema } from './schema.ts';

export interface Rule {
  /** `P-02/unforced-rls`. */
  id: string;
  /** What it finds, in a few words. */
  title: string;
  /** Why that matters, in a sentence. */
  why: string;
  /** Error: a tenant reaches another's rows. Warning: one mistake away from it. Note: cost, or work for operators. */
  level: 'error' | 'warning' | 'note';
  find(schema: Schema): Omit<Finding, 'rule'>[];
}
