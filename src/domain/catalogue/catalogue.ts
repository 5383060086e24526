import { LRUCache } from 'lru-cache';
import type { Database } from '#src/database/pool.ts';
import { isTenantId, requestMs, type TenantTx, withTenant } from '#src/database/tenant.ts';
import { type ClientWithSecrets, findClientWithSecrets } from '#src/domain/clients/clients.ts';
import { listResourceServers, type ResourceServer } from '#src/domain/resource-servers/resource-servers.ts';
import { type DirectoryKind, findTenantIdInDirectory } from '#src/domain/tenants/directory.ts';
import { findTenant, type Tenant } from '#src/domain/tenants/tenants.ts';
import { type ConfigChanges, readConfigChanges } from './config-changes.ts';

/**
 * What every request reads and few change: tenants, clients with their secrets, resource servers, and the directory. Cached in
 * the process under the tenant's id first, and dropped within `pollMs` of a change on any node.
 */
export interface Catalogue {
  findClient(client_id: string): Promise<(ClientWithSecrets & { tenant_id: string }) | undefined>;
  findTenant(tenant_id: string): Promise<Tenant | undefined>;
  /** By slug or id, as in the `tenant` authorization parameter. */
  findTenantByName(name: string): Promise<Tenant | undefined>;
  findTenantByDomain(domain: string): Promise<Tenant | undefined>;
  findResourceServer(tenant_id: string, identifier: string): Promise<ResourceServer | undefined>;
  /** Called with the ids of the tenants whose configuration changed. */
  onChange(listener: (tenant_ids: ReadonlySet<string>) => void): void;
  /** Reads what changed since the last call; called by a timer, and by tests. */
  poll(): Promise<void>;
  start(): Promise<void>;
  stop(): void;
}

/** A change bites on every node within this time and a database round trip. */
const pollMs = 300;
/** When the changes could not be read for so long, nothing cached is believed any more. */
const trustMs = 2_000;

export function makeCatalogue(db: Database, { onError }: { onError: (error: unknown) => void }): Catalogue {
  const entries = new LRUCache<string, Promise<unknown>>({ max: 20_000 });
  const directory = new LRUCache<string, string>({ max: 20_000 });
  const listeners: ((tenant_ids: ReadonlySet<string>) => void)[] = [];
  let seen: ConfigChanges | undefined;
  let polledAt = Number.NEGATIVE_INFINITY;
  let drops = 0;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  const trusted = () => performance.now() - polledAt < trustMs;

  function cached<T>(tenant_id: string, name: string, load: (tx: TenantTx) => Promise<T>): Promise<T> {
    const key = `${tenant_id} ${name}`;
    const known = trusted() ? (entries.get(key) as Promise<T> | undefined) : undefined;
    if (known) {
      return known;
    }
    const loading = withTenant(db, tenant_id, load, { aux: true, within: requestMs });
    entries.set(key, loading);
    loading.then(
      (value) => value === undefined && forget(key, loading),
      () => forget(key, loading),
    );
    return loading;
  }

  function forget(key: string, loading: Promise<unknown>) {
    if (entries.peek(key) === loading) {
      entries.delete(key);
    }
  }

  async function lookUp(kind: DirectoryKind, name: string): Promise<string | undefined> {
    const key = `${kind} ${name}`;
    const known = trusted() ? directory.get(key) : undefined;
    if (known !== undefined) {
      return known;
    }
    const dropsBefore = drops;
    const tenant_id = await findTenantIdInDirectory(db, kind, name);
    // What was dropped meanwhile may be this very name.
    if (tenant_id !== undefined && drops === dropsBefore) {
      directory.set(key, tenant_id);
    }
    return tenant_id;
  }

  function drop(tenant_ids: ReadonlySet<string>) {
    drops += 1;
    for (const key of entries.keys()) {
      if (tenant_ids.has(key.slice(0, key.indexOf(' ')))) {
        entries.delete(key);
      }
    }
    for (const [key, tenant_id] of directory.entries()) {
      if (tenant_ids.has(tenant_id)) {
        directory.delete(key);
      }
    }
    for (const listener of listeners) {
      listener(tenant_ids);
    }
  }

  async function poll() {
    const startedAt = performance.now();
    const changes = await readConfigChanges(db, seen);
    if (!seen) {
      // The first mark says nothing of what changed before it.
      entries.clear();
      directory.clear();
      drops += 1;
    }
    seen = changes;
    polledAt = startedAt;
    if (changes.tenant_ids.size) {
      drop(changes.tenant_ids);
    }
  }

  function schedule() {
    timer = setTimeout(async () => {
      await poll().catch(onError);
      if (!stopped) {
        schedule();
      }
    }, pollMs);
    timer.unref();
  }

  const catalogue: Catalogue = {
    async findClient(client_id) {
      const tenant_id = await lookUp('client', client_id);
      if (tenant_id === undefined) {
        return undefined;
      }
      return cached(tenant_id, `client ${client_id}`, async (tx) => {
        const client = await findClientWithSecrets(tx, client_id);
        return client && { ...client, tenant_id };
      });
    },
    findTenant: (tenant_id) => cached(tenant_id, 'tenant', findTenant),
    async findTenantByName(name) {
      if (isTenantId(name)) {
        return catalogue.findTenant(name);
      }
      const tenant_id = await lookUp('slug', name);
      return tenant_id === undefined ? undefined : catalogue.findTenant(tenant_id);
    },
    async findTenantByDomain(domain) {
      const tenant_id = await lookUp('domain', domain);
      return tenant_id === undefined ? undefined : catalogue.findTenant(tenant_id);
    },
    async findResourceServer(tenant_id, identifier) {
      const servers = await cached(tenant_id, 'resource_servers', listResourceServers);
      return servers.find((server) => server.identifier === identifier);
    },
    onChange: (listener) => listeners.push(listener),
    poll,
    async start() {
      await poll();
      schedule();
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
  return catalogue;
}
