import type { Session } from '../session.ts';
import { literal } from '../sql.ts';
import type { Subject } from './trial.ts';

export interface Actor {
  as: string;
  /** Statements that make the connection this one. */
  enter: string[];
  /** Whether it is a tenant itself. */
  tenant: boolean;
}

export const anotherTenant = 'another tenant';
export const freshConnection = 'no tenant (fresh connection)';

/** Who reaches for the rows of A once settings have been used on the connection. */
export function actors(session: Session, { a, b }: Subject): Actor[] {
  const { become, unset, options } = session;
  const empty = [...options.settings, 'request.jwt.claims'].map(
    (name) => `set_config(${literal(name)}, '', true)`,
  );
  return [
    { as: anotherTenant, enter: [...become, ...session.as(b.tenant)], tenant: true },
    { as: 'an empty tenant', enter: [...become, `select ${empty.join(', ')}`], tenant: false },
    // What `set local` left behind when the transaction of A was committed.
    { as: 'no tenant (connection reused)', enter: [...become, ...unset], tenant: false },
    {
      as: 'no tenant (after a rollback)',
      enter: [
        ...become,
        ...unset,
        'savepoint theirs',
        ...session.as(a.tenant),
        'rollback to savepoint theirs',
      ],
      tenant: false,
    },
  ];
}
