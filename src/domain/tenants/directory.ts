import { createHash } from 'node:crypto';
import type { Database } from '#src/database/pool.ts';
import { findTenantId } from '#src/database/tenant.ts';

export type DirectoryKind = 'slug' | 'domain' | 'client';

/** The same hash as the SQL function directory_key: the kind is part of it. */
export function directoryKey(kind: DirectoryKind, key: string): Buffer {
  return createHash('sha256').update(kind).update('\u001f').update(key).digest();
}

/** The tenant that owns this slug, verified e-mail domain or client_id. */
export function findTenantIdInDirectory(
  db: Database,
  kind: DirectoryKind,
  key: string,
): Promise<string | undefined> {
  return findTenantId(db, kind, directoryKey(kind, key));
}
