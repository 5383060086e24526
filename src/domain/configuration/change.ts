import { isDeepStrictEqual } from 'node:util';
import type { TenantTx } from '#src/database/tenant.ts';

/** What a plan shows; it holds no secret. */
export interface Change {
  /** An erasure cannot be taken back. */
  action: 'create' | 'update' | 'erase' | 'unchanged';
  kind: 'tenant' | 'domain' | 'resource' | 'role' | 'user' | 'client';
  /** The slug; absent for what belongs to the platform. */
  tenant?: string;
  name: string;
  /** Of an update: what differs. */
  fields?: string[];
}

/** One change and how it is made. */
export interface Step {
  change: Change;
  perform(tx: TenantTx): Promise<void>;
  /** A secret that the step makes; it exists once the transaction has committed. */
  generated?: { client_id: string; client_secret: string };
}

/** The change from what is stored to what is wanted; fields that are undefined are not asked for. */
export function describeChange(
  kind: Change['kind'],
  name: string,
  { stored, wanted }: { stored: object | undefined; wanted: object },
): Change {
  if (stored === undefined) {
    return { action: 'create', kind, name };
  }
  const fields = Object.entries(wanted)
    .filter(
      ([field, value]) =>
        value !== undefined && !isDeepStrictEqual(value, stored[field as keyof typeof stored]),
    )
    .map(([field]) => field);
  return fields.length > 0 ? { action: 'update', kind, name, fields } : { action: 'unchanged', kind, name };
}
