import { readForms } from './user-agent.ts';

/** Parameters, fields and members whose values only their holder may know, wherever they are met. */
const secretNames = new Set([
  ...[
    'access_token',
    'refresh_token',
    'id_token',
    'id_token_hint',
    'code',
    'code_verifier',
    'state',
    'nonce',
  ],
  ...['client_secret', 'client_assertion', 'password', 'request_uri', 'token', 'csrf', 'xsrf'],
]);
const secretHeaders = ['authorization', 'dpop', 'cookie'];

/** Collects what a client sees and sends that must be found nowhere else; `fetch` is watched until `stop`. */
export function watchSecrets() {
  const secrets = new Map<string, string>();
  const names = new Set<string>();
  const original = globalThis.fetch;

  const add = (name: string, value: string) => {
    // Shorter ones are words of tests, not secrets.
    if (value.length >= 16) {
      secrets.set(value, secrets.get(value) ?? name);
      names.add(name);
    }
  };
  const addParameters = (pairs: Iterable<[string, string]>) => {
    for (const [name, value] of pairs) {
      if (secretNames.has(name)) {
        // Of a request_uri the end alone is enough for its holder.
        add(name, value.slice(value.lastIndexOf(':') + 1));
      }
    }
  };
  const addUrl = (text: string, base?: string) => {
    const url = new URL(text, base);
    addParameters(url.searchParams);
    const uid = /^\/(?:login|consent|auth)\/([\w-]{20,})/.exec(url.pathname)?.[1];
    if (uid) {
      add('uid', uid);
    }
  };
  const addHeader = (name: string, value: string) => {
    // The cookie of that name holds whose session a sign-out is about, a tenant.
    for (const part of value.split(/;\s*/).filter((cookie) => !cookie.startsWith('logout='))) {
      const secret =
        name === 'cookie' ? part.slice(part.indexOf('=') + 1) : part.slice(part.indexOf(' ') + 1);
      add(name, secret);
      if (value.startsWith('Basic ')) {
        const [, encoded = ''] = Buffer.from(secret, 'base64').toString('utf8').split(':');
        add('client_secret', decodeURIComponent(encoded));
      }
    }
  };

  globalThis.fetch = async (input, init) => {
    const request = new Request(input as string, init);
    addUrl(request.url);
    for (const name of secretHeaders) {
      const value = request.headers.get(name);
      if (value) {
        addHeader(name, value);
      }
    }
    const sent = await request.clone().text();
    if (request.headers.get('content-type')?.includes('form')) {
      addParameters(new URLSearchParams(sent));
    }
    const response = await original(input, init);
    const location = response.headers.get('location');
    if (location) {
      addUrl(location, request.url);
    }
    for (const cookie of response.headers.getSetCookie()) {
      addHeader('cookie', cookie.split(';')[0]!);
    }
    const body = await response.clone().text();
    if (response.headers.get('content-type')?.includes('json')) {
      addParameters(
        Object.entries(JSON.parse(body)).filter(
          (pair): pair is [string, string] => typeof pair[1] === 'string',
        ),
      );
    } else {
      addParameters(readForms(body).flatMap(({ fields }) => Object.entries(fields)));
    }
    return response;
  };

  return {
    add,
    /** Every name that a secret was met under. */
    names,
    /** Each secret with its name. */
    list: (): [name: string, value: string][] => [...secrets].map(([value, name]) => [name, value]),
    stop() {
      globalThis.fetch = original;
    },
  };
}

/** How the value looks as text, escaped, in base64 at any place of a longer text, and in hex, also of that. */
export function spellings(value: string): string[] {
  const bytes = Buffer.from(value);
  const decoded = Buffer.from(value, 'base64url');
  const base64 = [0, 1, 2].map((shift) => {
    // The characters that depend on the neighbours are left out.
    const text = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    return text.slice(shift ? shift + 1 : 0, -1);
  });
  const texts = [
    value,
    encodeURIComponent(value),
    ...base64,
    ...base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
    // What it stands for, when it is an encoding itself.
    ...(decoded.length >= 16 ? [decoded.toString('hex'), decoded.toString('base64').replace(/=+$/, '')] : []),
  ];
  return [...new Set(texts.flatMap((text) => [text, Buffer.from(text).toString('hex')]))];
}

/** The names of the secrets that the text holds, in whatever spelling. */
export function findSecrets(text: string, secrets: [name: string, value: string][]): string[] {
  return secrets
    .filter(([, value]) => spellings(value).some((spelling) => text.includes(spelling)))
    .map(([name, value]) => `${name} ${value}`);
}
