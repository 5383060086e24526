import type pg from 'pg';
import type { Catalogue } from '../catalogue/catalogue.ts';
import { quoted } from '../lint/names.ts';
import type { SchemaOptions } from '../options.ts';
import { copyIn } from './copy.ts';
import { ident, literal } from './sql.ts';

/** Whose rows: the id as text, and the subject of its token. */
export interface Tenant {
  id: string;
  subject: string;
}

/** An error of PostgreSQL, as the client gives it. */
export interface Refusal {
  code: string;
  message: string;
  constraint: string | undefined;
  column: string | undefined;
}

export type Outcome = { results: pg.QueryResult[]; notices: string[] } & (
  | { error: undefined }
  | { error: Refusal }
);

export interface Session {
  catalogue: Catalogue;
  options: SchemaOptions;
  /** Statements that make the connection the runtime role, until the savepoint is rolled back. */
  become: string[];
  /** Statements that give it back to the privileged role in between. */
  leave: string[];
  /** Whether policies bind the privileged role where they are forced. */
  bound: boolean;
  /** Whether it may become any role, as superusers may. */
  mayBecomeAll: boolean;
  /** Statements that set the tenant, local to the transaction. */
  as(tenant: Tenant): string[];
  /** Statements that leave it as a transaction finds it that sets nothing. */
  unset: string[];
  /** Runs statements in one round trip after a return to the savepoint; those of the last run are undone. */
  attempt(statements: string[]): Promise<Outcome>;
  /** The same with `copy … from stdin` as the last one, and what it is sent. */
  attemptCopy(statements: string[], lines: string): Promise<Outcome>;
  /** Runs statements in one round trip behind a savepoint of their own: they stay when none failed. */
  keep(statements: string[]): Promise<Outcome>;
  /** The same, and they are undone; for the time before the savepoint that `attempt` returns to. */
  peek(statements: string[]): Promise<Outcome>;
  /** Runs what must not fail. */
  run(statement: string): Promise<pg.QueryResult>;
  /** A transaction that is rolled back, whatever happens. */
  transaction<T>(work: () => Promise<T>): Promise<T>;
}

const lockTimeout = '1s';
const statementTimeout = '30s';

/**
 * Prepares the connection. Throws when it has a transaction open, may not write or may not become the runtime
 * role, and says which grant is wanted. `close` takes away what it has put on the client.
 */
export async function openSession(
  client: pg.ClientBase,
  catalogue: Catalogue,
  options: SchemaOptions,
): Promise<{ session: Session; close(): void }> {
  await refuseTransaction(client);
  const { rows } = await client.query(`
    select current_user::text as "user", session_user::text as "sessionUser",
      pg_is_in_recovery() or current_setting('default_transaction_read_only')::boolean as "readOnly",
      r.rolsuper as superuser, r.rolsuper or r.rolbypassrls as unbound
    from pg_roles r where r.rolname = current_user`);
  const me = rows[0];
  if (me.readOnly) {
    throw new Error(
      'the connection is read-only (a replica, or default_transaction_read_only): prove makes rows and takes them back, so give it one that may write',
    );
  }
  const notices: string[] = [];
  const hear = (notice: { message?: string | undefined; detail?: string | undefined }) =>
    notices.push(`${notice.message} ${notice.detail ?? ''}`);
  client.on('notice', hear);

  const settings = [...options.settings, 'request.jwt.claims'];
  const role = catalogue.role.name;
  const session: Session = {
    catalogue,
    options,
    become: [],
    leave: [],
    bound: !me.unbound,
    mayBecomeAll: me.superuser,
    as: (tenant) => [
      `select ${[
        ...options.settings.map((name) => [name, tenant.id]),
        ['request.jwt.claims', claims(tenant, role, options)],
      ]
        .map(([name, value]) => `set_config(${literal(name!)}, ${literal(value!)}, true)`)
        .join(', ')}`,
    ],
    unset: settings.map((name) => `set local ${name.split('.').map(ident).join('.')} to default`),
    attempt: (statements) => send(['rollback to savepoint attempt', ...statements]),
    async attemptCopy(statements, lines) {
      notices.length = 0;
      try {
        await copyIn(client, ['rollback to savepoint attempt', ...statements], lines);
        return { results: [], notices: [...notices], error: undefined };
      } catch (error) {
        return { results: [], notices: [...notices], error: refusal(error) };
      }
    },
    async keep(statements) {
      const outcome = await send(['savepoint kept', ...statements, 'release savepoint kept']);
      if (!outcome.error) return { ...outcome, results: outcome.results.slice(0, -1) };
      await client.query('rollback to savepoint kept; release savepoint kept').catch((cause) => {
        // The text was not even SQL, so the savepoint was never reached.
        throw new Error(`prove could not read its own SQL: ${outcome.error.message}`, { cause });
      });
      return outcome;
    },
    async peek(statements) {
      const outcome = await send(['savepoint peeked', ...statements]);
      await client.query('rollback to savepoint peeked; release savepoint peeked');
      return outcome;
    },
    run: (statement) => client.query(statement),
    async transaction(work) {
      await client.query(
        `begin; set local lock_timeout = '${lockTimeout}'; set local statement_timeout = '${statementTimeout}';
        set local row_security = on; set constraints all immediate`,
      );
      try {
        return await work();
      } finally {
        await client.query('rollback');
      }
    },
  };

  async function send(statements: string[]): Promise<Outcome> {
    notices.length = 0;
    try {
      const results = (await client.query(statements.join(';\n'))) as unknown as
        | pg.QueryResult
        | pg.QueryResult[];
      return {
        results: Array.isArray(results) ? results : [results],
        notices: [...notices],
        error: undefined,
      };
    } catch (error) {
      return { results: [], notices: [...notices], error: refusal(error) };
    }
  }

  try {
    await prepareRole(client, session, me);
  } catch (error) {
    client.off('notice', hear);
    throw error;
  }
  return { session, close: () => client.off('notice', hear) };
}

/** An error without a code is not of the database: the connection is gone, or this package is wrong. */
function refusal(error: unknown): Refusal {
  const { code, message, constraint, column } = error as Partial<Refusal>;
  if (typeof code !== 'string' || !/^[0-9A-Z]{5}$/.test(code) || /^(08|57P)/.test(code)) throw error;
  return { code, message: message ?? '', constraint, column };
}

async function refuseTransaction(client: pg.ClientBase): Promise<void> {
  const open = await client.query('savepoint tessera').then(
    () => true,
    (error) => error.code !== '25P01',
  );
  if (open) {
    throw new Error(
      'the connection has a transaction open: prove begins and rolls back its own, so give it one without',
    );
  }
}

async function prepareRole(
  client: pg.ClientBase,
  session: Session,
  me: { user: string; sessionUser: string },
): Promise<void> {
  const role = session.catalogue.role.name;
  if (me.user !== role) {
    // As the session's user too: then `set role` is refused as it is for the application.
    const authorization = [`set local session authorization ${ident(role)}`];
    const forms = [authorization, [`set local role ${ident(role)}`]];
    const allowed: boolean[] = [];
    for (const form of forms) {
      allowed.push(
        await client.query(`begin; ${form[0]}; rollback`).then(
          () => true,
          async () => {
            await client.query('rollback');
            return false;
          },
        ),
      );
    }
    session.become = forms[allowed.indexOf(true)] ?? [];
    if (session.become.length === 0) {
      const set = session.catalogue.version >= 160_000 ? ' with set true' : '';
      throw new Error(
        `"${me.user}" may not become "${role}", the role that the attempts are made as; as a superuser run: grant ${quoted(role)} to ${quoted(me.user)}${set};`,
      );
    }
    const back = me.user === me.sessionUser ? 'none' : ident(me.user);
    session.leave = [
      ...(session.become === authorization ? ['set local session authorization default'] : []),
      `set local role ${back}`,
    ];
  }
  // What `alter role … set` would have given a connection of the role.
  const tenantSettings = [...session.options.settings, 'request.jwt.claims'];
  for (const { role: name, value, name: setting } of session.catalogue.defaults) {
    if ((name !== '' && name !== role) || tenantSettings.includes(setting)) continue;
    if (setting !== 'search_path' && !setting.includes('.')) continue;
    session.become = [...session.become, `select set_config(${literal(setting)}, ${literal(value)}, true)`];
  }
}

function claims(tenant: Tenant, role: string, options: SchemaOptions): string {
  const token: Record<string, unknown> = {
    iss: 'https://issuer.example.test',
    sub: tenant.subject,
    aud: 'https://api.example.test',
    role,
    client_id: 'prove',
    scope: 'openid',
  };
  for (const claim of options.claims) {
    token[claim] = tenant.id;
    const [outer, inner] = claim.split('.');
    if (outer && inner) token[outer] = { ...(token[outer] as object | undefined), [inner]: tenant.id };
  }
  return JSON.stringify(token);
}
