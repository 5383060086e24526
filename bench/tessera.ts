import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { startEmbedded } from '#src/database/embedded.ts';
import { makeDatabase } from '#src/database/pool.ts';
import { withTenant } from '#src/database/tenant.ts';
import { addClientSecret } from '#src/domain/clients/client-secrets.ts';
import { type ClientInput, putClient } from '#src/domain/clients/clients.ts';
import { hashPassword } from '#src/domain/credentials/password-hash.ts';
import { putResourceServer } from '#src/domain/resource-servers/resource-servers.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import { createTenant } from '#src/domain/tenants/tenants.ts';
import { putRole } from '#src/domain/users/roles.ts';
import { putUser } from '#src/domain/users/users.ts';
import { makeMasterKeyText } from '#src/lib/master-key.ts';
import {
  email,
  machine,
  password,
  personEmail,
  redirect_uri,
  resource,
  web,
  webRs256,
} from './identities.ts';
import { type ServerProcess, startServer, untilReady } from './processes.ts';

/** An embedded PostgreSQL, as durable as in production, in a folder of its own. */
export interface TemporaryDatabase {
  runtimeUrl: string;
  ownerUrl: string;
  stop(): Promise<void>;
}

export async function startDatabase(): Promise<TemporaryDatabase> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tessera-bench-'));
  // Root's Postgres runs as another user, who has to pass through.
  fs.chmodSync(folder, 0o711);
  const embedded = await startEmbedded({ dataDir: path.join(folder, 'data') });
  return {
    runtimeUrl: embedded.url(),
    ownerUrl: embedded.url('tessera', 'owner'),
    async stop() {
      await embedded.stop();
      fs.rmSync(folder, { recursive: true });
    },
  };
}

/** Counted as in production, and never refused: all load comes from one address and few clients. */
const rateLimits = [
  ...['pages', 'token_address', 'token_client', 'token_tenant', 'par_address', 'par_client', 'calls'],
  ...['sign_in', 'sign_in_address'],
]
  .map((name) => `${name}=100000000/1m`)
  .join(',');

const masterKeys = makeMasterKeyText('bench');

/** Starts Tessera as production does, its log going to a file. `runtimeUrl` may lead through the counting proxy. */
export async function startTessera(
  { runtimeUrl, ownerUrl }: Pick<TemporaryDatabase, 'runtimeUrl' | 'ownerUrl'>,
  {
    port,
    nodeOptions = [],
    cores = '0',
    env = {},
  }: { port: number; nodeOptions?: string[]; cores?: string; env?: Record<string, string> },
): Promise<ServerProcess> {
  const logFile = path.join(os.tmpdir(), `tessera-bench-${port}.log`);
  const log = fs.openSync(logFile, 'w');
  const server = await startServer(['src/main.ts', 'serve'], {
    nodeOptions,
    stderr: log,
    cores,
    env: {
      PORT: String(port),
      ISSUER: `http://localhost:${port}`,
      DATABASE_URL: runtimeUrl,
      MIGRATION_DATABASE_URL: ownerUrl,
      MASTER_KEYS: masterKeys,
      RATE_LIMITS: rateLimits,
      TESSERA_DEMO: 'off',
      ...env,
    },
  });
  fs.closeSync(log);
  try {
    await untilReady(server, `http://localhost:${port}/readyz`);
  } catch (error) {
    await server.stop();
    throw new Error(fs.readFileSync(logFile, 'utf8').slice(-2_000), { cause: error });
  }
  return {
    ...server,
    async stop() {
      await server.stop();
      fs.rmSync(logFile);
    },
  };
}

/** One tenant with a user, the clients of the flows and `people` more users, all of the same password. */
export async function seed(runtimeUrl: string, { people = 0 }: { people?: number } = {}): Promise<void> {
  const db = makeDatabase({ url: runtimeUrl, max: 1 });
  const resources = JSON.stringify([{ identifier: resource, scopes: ['read'] }]);
  const client = (client_id: string, change: Partial<ClientInput>): ClientInput => ({
    client_id,
    client_name: client_id,
    first_party: true,
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'client_secret_basic',
    redirect_uris: [redirect_uri],
    id_token_signed_response_alg: 'ES256',
    resources,
    ...change,
  });
  const password_hash = await hashPassword(password);
  try {
    await withTenant(db, platformTenantId, (tx) =>
      putResourceServer(tx, { identifier: resource, name: 'Example API', scopes: ['read', 'write'] }),
    );
    await withTenant(db, crypto.randomUUID(), async (tx) => {
      await createTenant(tx, { slug: 'bench', name: 'Bench' });
      await putRole(tx, { name: 'member', permissions: [] });
      for (const address of [email, ...Array.from({ length: people }, (_, index) => personEmail(index))]) {
        await putUser(tx, {
          email: address,
          email_verified: true,
          name: 'Alice',
          password_hash,
          roles: ['member'],
        });
      }
      await putClient(
        tx,
        client(machine.client_id, { grant_types: ['client_credentials'], redirect_uris: [] }),
      );
      await putClient(tx, client(web.client_id, {}));
      await putClient(tx, client(webRs256.client_id, { id_token_signed_response_alg: 'RS256' }));
      for (const { client_id, client_secret } of [machine, web, webRs256]) {
        await addClientSecret(tx, client_id, { secret: client_secret });
      }
    });
  } finally {
    await db.close();
  }
}
