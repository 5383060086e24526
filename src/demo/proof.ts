import { createRemoteJWKSet, type JWTPayload, jwtVerify } from 'jose';
import type { Demo, DemoTenant } from './demo.ts';

export interface Order {
  id: string;
  item: string;
  amount_cents: number;
}

/** What one tenant's token was seen to open, over HTTP. */
export interface Proof {
  tenant: DemoTenant;
  access_token: string;
  /** Checked against the published keys. */
  claims: JWTPayload;
  /** All rows that this token's bearer was given. */
  orders: Order[];
  /** How many of the other tenants' rows there are, and how many of them the bearer could get, asked for each by its id. */
  others: { asked: number; seen: number };
}

/**
 * Gets a token for each tenant's machine client and asks the orders API with it: for all orders, and for every order of the
 * other tenants by id. Real requests; throws when one is answered in another way than a client would expect.
 */
export async function proveIsolation(demo: Demo, ordersUrl: string): Promise<Proof[]> {
  const own = await Promise.all(
    demo.tenants.map(async (tenant) => {
      const access_token = await fetchToken(demo, tenant);
      return {
        tenant,
        access_token,
        claims: await verify(demo, access_token),
        orders: await fetchOrders(ordersUrl, access_token),
      };
    }),
  );
  return Promise.all(
    own.map(async (proof) => {
      const foreign = own.filter((other) => other !== proof).flatMap(({ orders }) => orders);
      const answers = await Promise.all(
        foreign.map(({ id }) => ask(`${ordersUrl}/orders/${id}`, proof.access_token)),
      );
      return {
        ...proof,
        others: { asked: foreign.length, seen: answers.filter(({ status }) => status !== 404).length },
      };
    }),
  );
}

async function fetchToken({ issuer }: Demo, { clients }: DemoTenant): Promise<string> {
  const { client_id, client_secret } = clients.find(({ grant_types }) =>
    grant_types.includes('client_credentials'),
  )!;
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'read' }),
  });
  const body = (await response.json()) as { access_token?: string; error?: string };
  if (!body.access_token) {
    throw new Error(`no token for ${client_id}: ${response.status} ${body.error}`);
  }
  return body.access_token;
}

async function verify({ issuer, resource }: Demo, token: string): Promise<JWTPayload> {
  const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`));
  const { payload } = await jwtVerify(token, keys, {
    issuer,
    audience: resource,
    typ: 'at+jwt',
    algorithms: ['ES256'],
  });
  return payload;
}

async function fetchOrders(ordersUrl: string, token: string): Promise<Order[]> {
  const response = await ask(`${ordersUrl}/orders`, token);
  if (response.status !== 200) {
    throw new Error(`the orders API answered ${response.status}`);
  }
  return ((await response.json()) as { orders: Order[] }).orders;
}

function ask(url: string, token: string): Promise<Response> {
  return fetch(url, { headers: { authorization: `Bearer ${token}` } });
}
