import type { Answer } from './expect-safe.ts';
import { secretOf } from './fixture.ts';

export interface Call {
  method?: string;
  headers?: Record<string, string>;
  /** Sent as a form; a list of pairs may repeat a name, and undefined leaves a field out. */
  form?: Record<string, string | undefined> | [string, string][];
  body?: string | Uint8Array<ArrayBuffer>;
}

/** One HTTP request as a machine sends it: no cookies, no redirects followed. A form makes it a POST. */
export async function call(url: string, { form, body, headers = {}, method }: Call = {}): Promise<Answer> {
  const sent = form ? encodeForm(form) : body;
  const response = await fetch(url, {
    method: method ?? (sent === undefined ? 'GET' : 'POST'),
    redirect: 'manual',
    headers: {
      accept: 'application/json',
      ...(form ? { 'content-type': 'application/x-www-form-urlencoded' } : {}),
      ...headers,
    },
    ...(sent === undefined ? {} : { body: sent }),
  });
  return { status: response.status, headers: response.headers, body: await response.text() };
}

function encodeForm(form: NonNullable<Call['form']>): string {
  const pairs = (Array.isArray(form) ? form : Object.entries(form)).filter(
    (pair): pair is [string, string] => pair[1] !== undefined,
  );
  return new URLSearchParams(pairs).toString();
}

/** The Authorization header of RFC 6749 section 2.3.1: both parts form-encoded before base64. */
export function basic(client_id: string, secret = secretOf(client_id)): Record<string, string> {
  const encode = (text: string) => new URLSearchParams({ t: text }).toString().slice(2);
  return { authorization: `Basic ${btoa(`${encode(client_id)}:${encode(secret)}`)}` };
}
