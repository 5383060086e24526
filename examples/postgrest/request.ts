import type pg from 'pg';

/** A verified token's claims, or none: what PostgREST hands to the database. */
export type Claims = Record<string, unknown>;

export type Request = {
  claims?: Claims;
  /** `db-anon-role`: for a request without a token, or whose token names no role. */
  anonRole: string;
  /** `db-pre-request`. */
  preRequest: string;
  /** `read only` for GET and HEAD, as PostgREST opens them. */
  access?: 'read only' | 'read write';
};

/**
 * Runs one statement in a transaction as PostgREST does: role and claims set for this transaction alone, then
 * `db-pre-request`, then the statement. Commits and gives its rows; any error rolls back and is thrown.
 */
export async function request<Row extends pg.QueryResultRow>(
  pool: pg.Pool,
  { claims, anonRole, preRequest, access = 'read write' }: Request,
  text: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const client = await pool.connect();
  try {
    await client.query(`begin ${access}`);
    const role = claims?.['role'] ?? anonRole;
    await client.query("select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)", [
      role,
      JSON.stringify({ ...claims, role }),
    ]);
    await client.query(`select ${preRequest}()`);
    const { rows } = await client.query<Row>(text, values);
    await client.query('commit');
    return rows;
  } catch (error) {
    await client.query('rollback');
    throw error;
  } finally {
    client.release();
  }
}
