import { randomBytes, randomUUID } from 'node:crypto';
import { createTestDatabase, runStatements } from '../../../test/support/postgres.ts';
import { markVerified, type VerifiedToken } from '../../src/verify/verified-token.ts';

export interface TenantDatabase {
  /** The login role of the application: no superuser, owner of nothing. */
  url: string;
  superUrl: string;
  /** A login of the same database, made with these attributes and memberships. */
  login(attributes: string, memberOf?: string): Promise<{ url: string; name: string }>;
  /** Rows of any tenant. */
  all(statement: string): Promise<Record<string, unknown>[]>;
  drop(): Promise<void>;
}

/**
 * A database with `orders.orders` as of the examples, `orders.notes` whose item is checked at COMMIT, and a role `reader`
 * that may read only. Roles belong to the whole server, so their names are made up.
 */
export async function createTenantDatabase(): Promise<TenantDatabase & { reader: string; owner: string }> {
  const database = await createTestDatabase();
  const suffix = randomBytes(4).toString('hex');
  const roles: string[] = [];
  const all = (statement: string) => runStatements(database.superUrl, [statement]);

  const create = async (name: string, attributes: string) => {
    const password = randomBytes(8).toString('hex');
    await all(`create role ${name} ${attributes} password '${password}'`);
    roles.push(name);
    return Object.assign(new URL(database.superUrl), { username: name, password }).href;
  };
  const [owner, reader, app] = [`rls_owner_${suffix}`, `rls_reader_${suffix}`, `rls_app_${suffix}`];
  await create(owner, 'nologin');
  await create(reader, 'nologin');
  const url = await create(app, 'login noinherit');
  const protect = (table: string) => `
    alter table orders.${table} owner to ${owner};
    alter table orders.${table} enable row level security;
    alter table orders.${table} force row level security;
    create policy tenant on orders.${table}
      using (tenant_id = (select current_setting('app.current_tenant_id')::uuid))
      with check (tenant_id = (select current_setting('app.current_tenant_id')::uuid));
    grant select on orders.${table} to ${reader};
    grant select, insert, update, delete on orders.${table} to ${app}`;
  await all(`
    create schema orders authorization ${owner};
    create table orders.orders (
      tenant_id uuid not null default (current_setting('app.current_tenant_id'::text))::uuid,
      id uuid not null default gen_random_uuid(),
      item text not null,
      amount_cents int not null default 0,
      placed_at timestamptz not null default now(),
      primary key (tenant_id, id)
    );
    ${protect('orders')};
    create table orders.notes (
      tenant_id uuid not null default (current_setting('app.current_tenant_id'::text))::uuid,
      order_id uuid not null,
      foreign key (tenant_id, order_id) references orders.orders deferrable initially deferred
    );
    ${protect('notes')};
    grant usage on schema orders to ${app}, ${reader};
    grant ${reader} to ${app}`);

  return {
    url,
    superUrl: database.superUrl,
    reader,
    owner,
    all,
    async login(attributes, memberOf) {
      const name = `rls_login_${randomBytes(4).toString('hex')}`;
      const made = await create(name, `login ${attributes}`);
      if (memberOf) await all(`grant ${memberOf} to ${name}`);
      return { url: made, name };
    },
    async drop() {
      await database.drop();
      const server = Object.assign(new URL(database.superUrl), { pathname: '/postgres' }).href;
      await runStatements(
        server,
        roles.reverse().map((name) => `drop role ${name}`),
      );
    },
  };
}

/** What a verifier would have made of a good token of this tenant. */
export function makeToken(
  tenantId: string = randomUUID(),
  {
    claims = {},
    ...rest
  }: Partial<Omit<VerifiedToken, 'claims'>> & { claims?: Record<string, unknown> } = {},
): VerifiedToken {
  return markVerified({
    tenantId,
    subject: 'user-1',
    clientId: 'client-1',
    scopes: new Set(['read']),
    claims: { tenant_id: tenantId, sub: 'user-1', client_id: 'client-1', scope: 'read', ...claims },
    expiresAt: new Date(Date.now() + 300_000),
    ...rest,
  });
}
