import type { CommandName } from './args.ts';

const shared = `
  --url URL             postgres://user:password@host:5432/database; DATABASE_URL unless given
  --role ROLE           the role that the application logs in as; the one of --url unless given
  --schema NAME         a schema to look at, may be repeated; all unless given
  --tenant-column NAME  a column that holds the tenant, may be repeated; tenant_id
  --setting NAME        a setting that gets the tenant, may be repeated; app.current_tenant_id
  --claim NAME          a claim of request.jwt.claims that gets the tenant, may be repeated; tenant_id
  --config FILE         the same and more in JSON; rls.json of this folder, if there is one
  --json                print JSON`;

const exits = 'Exit: 0 nothing found, 1 findings, 2 could not run.';

const texts: Record<CommandName, string> = {
  lint: `Usage: rls lint --url URL [options]

Reads the catalogue of a database and names what breaks the isolation of tenants, with the SQL that
mends it. Writes nothing. Any role may run it.

Options:${shared}
  --sarif FILE          write the findings as SARIF 2.1.0 too
  --baseline FILE       leave out the findings that this file accepts
  --write-baseline      accept all findings of today: write them to --baseline, or rls-baseline.json

${exits}`,
  prove: `Usage: rls prove --url URL [options]

Makes rows of two tenants in a transaction that is rolled back, and tries to get at one tenant's rows
as the other one. Run it on a database for tests or a copy. The role of --url must be the
application's, or one that may become it.

Options:${shared}
  --baseline FILE       leave out the findings that this file accepts
  --html FILE           write the report as a page too
  --report FILE         write the report as JSON too

${exits}`,
  explain: `Usage: rls explain TOKEN --table TABLE --issuer URL --audience ID --url URL [options]
       … | rls explain - --table TABLE --issuer URL --audience ID --url URL [options]

Says whether an access token is accepted and why not, which tenant it sets, what the policies let it
do with a table, how many rows it sees, and how PostgreSQL finds them. Writes nothing. With - the token
comes from standard input and stays out of the history of the shell.

Options:
  --table TABLE         the table: orders.items
  --issuer URL          the issuer, as it stands in tokens
  --audience ID         the identifier of your resource server, may be repeated
  --jwks FILE           take the issuer's keys from this file, and fetch nothing${shared}

Exit: 0 the token is accepted and its tenant can read the table, 1 it cannot, or there are findings
about the table, 2 could not run.`,
};

const overview = `Usage: rls COMMAND [options]

  rls lint      what in the schema breaks the isolation of tenants
  rls prove     whether one tenant can get at another's rows, tried out
  rls explain   what one access token may see of a table, and why

  rls COMMAND --help, rls --version

${exits}`;

/** The help text of a command, or of all. */
export function helpText(command: CommandName | undefined): string {
  return `${command ? texts[command] : overview}\n`;
}

/** The first lines of it, for a command line that was wrong. */
export function usageLine(command: CommandName | undefined): string {
  const [first] = helpText(command).split('\n\n', 1);
  return `${first}\nMore: rls ${command ? `${command} ` : ''}--help\n`;
}
