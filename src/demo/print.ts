import type { Paint } from '#src/lib/paint.ts';
import type { Demo } from './demo.ts';
import type { Proof } from './proof.ts';

/** The first thing that someone sees: one command for a token, what the token says, and the rows it opens. */
export function printDemo(
  { demo, proofs, ordersUrl, file }: { demo: Demo; proofs: Proof[]; ordersUrl: string; file: string },
  paint: Paint,
): string {
  const [first, ...others] = proofs as [Proof, ...Proof[]];
  const machine = first.tenant.clients.find(({ grant_types }) => grant_types.includes('client_credentials'))!;
  const heading = (title: string, note = '') =>
    `  ${paint('bold', title)}${note ? `  ${paint('dim', note)}` : ''}`;
  const curl = [
    `curl -s -u ${machine.client_id}:${machine.client_secret}`,
    `-d grant_type=client_credentials -d scope=read ${demo.issuer}/token`,
  ];
  return [
    '',
    `  ${paint('cyan', '▚')} ${paint('bold', 'Tessera')} is running at ${paint('cyan', demo.issuer)}`,
    '',
    heading('A token in one command'),
    `    ${paint('green', `${curl[0]} \\\n      ${curl[1]}`)}`,
    '',
    heading('What it says', `verified with ${demo.issuer}/jwks`),
    ...claimLines(first, paint),
    '',
    heading('From the token to the row', `GET ${ordersUrl}/orders with that token`),
    ...orderLines(first, paint),
    '',
    ...proofs.map((proof) => isolationLine(proof, [first, ...others], paint)),
    '',
    `  ${paint('dim', 'Secrets, passwords and redirect URIs of both tenants are in')} ${file}`,
    `  ${paint('dim', 'Stop with Ctrl-C; the data stays.')}`,
    '',
    '',
  ].join('\n');
}

function claimLines({ claims, tenant }: Proof, paint: Paint): string[] {
  const minutes = Math.round((claims.exp! - claims.iat!) / 60);
  const shown: [string, unknown, string][] = [
    ['tenant_id', claims['tenant_id'], tenant.slug],
    ['sub', claims.sub, 'the client itself'],
    ['aud', claims.aud, ''],
    ['scope', claims['scope'], ''],
    ['iss', claims.iss, ''],
    ['exp', new Date(claims.exp! * 1000).toISOString(), `${minutes} minutes after iat`],
  ];
  return shown.map(
    ([name, value, note]) =>
      `    ${paint('dim', name.padEnd(10))} ${value}${note ? `  ${paint('dim', note)}` : ''}`,
  );
}

function orderLines({ orders }: Proof, paint: Paint): string[] {
  const width = Math.max(...orders.map(({ item }) => item.length));
  return orders.map(
    ({ id, item, amount_cents }) =>
      `    ${paint('dim', id)}  ${item.padEnd(width)}  ${(amount_cents / 100).toFixed(2).padStart(8)}`,
  );
}

function isolationLine({ tenant, orders, others }: Proof, all: Proof[], paint: Paint): string {
  const rest = all
    .filter((proof) => proof.tenant.slug !== tenant.slug)
    .map((proof) => proof.tenant.slug)
    .join(', ');
  const kept = others.seen === 0;
  const sign = kept ? paint('green', '✓') : paint('red', '✗');
  return `  ${sign} ${tenant.slug.padEnd(6)} sees ${orders.length} rows of its own, and ${others.seen} of the ${others.asked} of ${rest}`;
}
