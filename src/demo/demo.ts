import { randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { applyConfiguration } from '#src/domain/configuration/apply.ts';
import { parseConfiguration } from '#src/domain/configuration/parse.ts';
import type { Services } from '#src/services.ts';

/** What `.data/demo.json` holds: all that is needed to try the demo, secrets included. Mode 0600. */
export interface Demo {
  issuer: string;
  resource: string;
  tenants: DemoTenant[];
}

export interface DemoTenant {
  slug: string;
  tenant_id: string;
  users: { email: string; password: string; roles: string[] }[];
  clients: {
    client_id: string;
    client_secret?: string;
    redirect_uris?: string[];
    grant_types: string[];
  }[];
}

const resource = 'https://api.example.test';
const redirect_uris = ['http://localhost:4000/callback', 'http://127.0.0.1:4000/callback'];
const names = { acme: 'Acme Inc', globex: 'Globex Corporation' };

const secret = () => randomBytes(32).toString('base64url');
/** Random, and still possible to type. */
const password = () => `${randomBytes(12).toString('hex').match(/.{6}/g)!.join('-')}`;

/**
 * The demo of the first start: made once, then read. Its file is written last, so that a start that was killed half-way makes
 * it again, with new secrets.
 */
export async function ensureDemo(services: Services): Promise<Demo> {
  const file = demoFile(services);
  try {
    const demo = JSON.parse(await readFile(file, 'utf8')) as Demo;
    return { ...demo, issuer: services.config.issuer };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw error;
    }
  }
  const demo = await createDemo(services);
  await writeFile(`${file}.new`, `${JSON.stringify(demo, null, 2)}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
  return demo;
}

/** Where the demo's secrets are. */
export function demoFile({ config }: Pick<Services, 'config'>): string {
  return path.join(config.dataDir, 'demo.json');
}

async function createDemo(services: Services): Promise<Demo> {
  const tenants = Object.keys(names).map(makeTenant);
  const configuration = {
    resources: [{ identifier: resource, name: 'Example API', scopes: ['read', 'write'] }],
    tenants: tenants.map(({ slug, users, clients }) => ({
      slug,
      name: names[slug as keyof typeof names],
      domains: [`${slug}.test`],
      roles: [
        { name: 'admin', permissions: [] },
        { name: 'member', permissions: [] },
      ],
      users: users.map((user) => ({ ...user, name: user.email.split('@')[0], email_verified: true })),
      clients: clients.map((client) => ({
        ...client,
        // What people read on the sign-in page.
        client_name: client.redirect_uris ? 'Orders' : 'Orders machine',
        token_endpoint_auth_method: client.client_secret ? 'client_secret_basic' : 'none',
        resources: [{ identifier: resource, scopes: ['read', 'write'] }],
        first_party: true,
      })),
    })),
  };
  await applyConfiguration(services, parseConfiguration(JSON.stringify(configuration), {}));
  return {
    issuer: services.config.issuer,
    resource,
    tenants: await Promise.all(
      tenants.map(async (tenant) => ({
        slug: tenant.slug,
        tenant_id: (await services.catalogue.findTenantByName(tenant.slug))!.tenant_id,
        users: tenant.users,
        clients: tenant.clients,
      })),
    ),
  };
}

function makeTenant(slug: string): Omit<DemoTenant, 'tenant_id'> {
  const people = ['authorization_code', 'refresh_token'];
  return {
    slug,
    users: [
      { email: `admin@${slug}.test`, password: password(), roles: ['admin'] },
      { email: `member@${slug}.test`, password: password(), roles: ['member'] },
    ],
    clients: [
      { client_id: `${slug}-web`, client_secret: secret(), redirect_uris, grant_types: people },
      { client_id: `${slug}-spa`, redirect_uris, grant_types: people },
      { client_id: `${slug}-machine`, client_secret: secret(), grant_types: ['client_credentials'] },
    ],
  };
}
