import type pg from 'pg';

/** The client's side of a connection, as queries of their own may use it. */
interface Connection {
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/**
 * Runs statements of which the last is `copy … from stdin`, and sends it the lines. Resolves when PostgreSQL has
 * taken them; rejects with its error.
 */
export function copyIn(client: pg.ClientBase, statements: string[], lines: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const ignore = () => {};
    client.query({
      submit: (connection: Connection) => connection.query(statements.join(';\n')),
      handleCopyInResponse(connection: Connection) {
        connection.sendCopyFromChunk(Buffer.from(lines));
        connection.endCopyFrom();
      },
      handleReadyForQuery: () => resolve(),
      handleError: reject,
      handleRowDescription: ignore,
      handleDataRow: ignore,
      handleCommandComplete: ignore,
      handleEmptyQuery: ignore,
      handlePortalSuspended: ignore,
      handleCopyData: ignore,
    } as unknown as pg.Submittable);
  });
}

/** A row in the text format of COPY. */
export function copyLine(values: (string | null)[]): string {
  const escapes: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };
  return `${values
    .map((value) => (value === null ? '\\N' : value.replace(/[\\\n\r\t]/g, (letter) => escapes[letter]!)))
    .join('\t')}\n`;
}
