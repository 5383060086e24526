import { describe, expect, test } from '@jest/globals';
import { ConfigurationError } from '#src/domain/configuration/errors.ts';
import { escapeReferences, parseConfiguration } from '#src/domain/configuration/parse.ts';

function problemsOf(text: string | object, env: Record<string, string> = {}): readonly string[] {
  try {
    parseConfiguration(typeof text === 'string' ? text : JSON.stringify(text), env);
  } catch (error) {
    if (error instanceof ConfigurationError) {
      expect(error.code).toBe('invalid');
      return error.problems;
    }
    throw error;
  }
  return [];
}

const client = (fields: object) => ({
  tenants: [{ slug: 'acme', clients: [{ client_id: 'acme-web', ...fields }] }],
});
const user = (fields: object) => ({
  tenants: [{ slug: 'acme', users: [{ email: 'a@acme.test', ...fields }] }],
});
/** A reference as it stands in a file. */
const variable = (name: string) => `\${${name}}`;
const redirect_uris = ['https://app.acme.test/callback'];

test('takes the file of the documentation, in YAML', () => {
  const { resources, tenants } = parseConfiguration(
    `
resources:
  - identifier: https://api.example.test
    name: Example API
    scopes: [read, write]
clients: []
tenants:
  - slug: acme
    name: Acme Inc
    domains: [Acme.test]
    settings: { mfa: optional, session: { idle: PT30M, absolute: PT8H } }
    roles: [{ name: admin, permissions: [users.write] }]
    users:
      - { email: Alice@Acme.test, name: Alice, password: correct horse battery, email_verified: true, roles: [admin] }
      - { email: bob@acme.test, password_hash: "$2b$12$${'a'.repeat(53)}" }
    clients:
      - client_id: acme-web
        client_secret: 0123456789abcdef
        redirect_uris: [https://app.acme.test/callback]
        grant_types: [authorization_code, refresh_token]
        token_endpoint_auth_method: client_secret_basic
        resources: [{ identifier: https://api.example.test, scopes: [read] }]
        first_party: true
        require_pkce: true
        allowed_ips: [203.0.113.0/24]
`,
    {},
  );
  expect(resources[0]?.scopes).toEqual(['read', 'write']);
  expect(tenants[0]?.domains).toEqual(['acme.test']);
  expect(tenants[0]?.users.map(({ email }) => email)).toEqual(['alice@acme.test', 'bob@acme.test']);
  expect(tenants[0]?.clients[0]).toMatchObject({ client_secret_overlap: 'PT24H', require_pkce: true });
});

test('takes JSON, indented with tabs too', () => {
  expect(problemsOf(JSON.stringify(client({ redirect_uris }), undefined, '\t'))).toEqual([]);
});

test('gives a client that says little the defaults of RFC 7591', () => {
  const { tenants } = parseConfiguration(JSON.stringify(client({ redirect_uris })), {});
  expect(tenants[0]?.clients[0]).toMatchObject({
    grant_types: ['authorization_code'],
    token_endpoint_auth_method: 'client_secret_basic',
    require_pkce: true,
    first_party: false,
  });
});

describe('refuses the text itself', () => {
  test.each([
    ['a repeated key', 'tenants: []\ntenants: []', /unique/],
    ['a repeated key in JSON', '{"tenants":[],"tenants":[]}', /unique/],
    ['a tag', 'tenants: !!js/function x', /tag/],
    ['two documents', 'tenants: []\n---\ntenants: []', /multiple documents/],
    ['a list as a key', '? [tenants]\n: []', /key/i],
    ['an alias to nothing', 'tenants: *x', /alias/],
    ['a text that is no YAML', 'tenants: [', /./],
    ['a list', '[]', /expected object/],
    ['nothing', '', /expected object/],
    ['an own __proto__', '{"__proto__": {"tenants": []}}', /__proto__: is not a known field/],
  ])('%s', (_, text, reason) => {
    expect(problemsOf(text)).toEqual([expect.stringMatching(reason)]);
  });

  test('nesting without end, in a few words', () => {
    const problems = problemsOf('['.repeat(100_000));
    expect(problems.length).toBeGreaterThan(0);
    expect(problems.length).toBeLessThanOrEqual(3);
  });

  test('aliases that grow a thousandfold', () => {
    const levels = ['a: &l0 [x, x, x, x, x, x, x, x, x, x]'];
    for (let level = 1; level < 9; level++) {
      levels.push(`b${level}: &l${level} [${`*l${level - 1},`.repeat(10)}]`);
    }
    expect(problemsOf(levels.join('\n'))).toEqual([expect.stringMatching(/alias/)]);
  });

  test('without quoting it, since secrets stand there', () => {
    const problems = problemsOf('client_secret: "the secret itself\nother: [');
    expect(problems).not.toHaveLength(0);
    expect(problems.join()).not.toContain('the secret');
  });
});

describe('variables', () => {
  test('stand for a string or a part of it', () => {
    const { tenants } = parseConfiguration(
      JSON.stringify(
        client({
          client_secret: variable('SECRET'),
          redirect_uris: [`https://${variable('HOST')}/callback`],
        }),
      ),
      { SECRET: 'a secret of an operator', HOST: 'app.acme.test' },
    );
    expect(tenants[0]?.clients[0]).toMatchObject({ client_secret: 'a secret of an operator', redirect_uris });
  });

  test('are named when they are missing or empty, with the path', () => {
    const file = client({ client_secret: variable('SECRET'), redirect_uris, client_name: variable('NAME') });
    expect(problemsOf(file, { NAME: '' })).toEqual(
      expect.arrayContaining([
        'tenants[0].clients[0].client_secret: the variable SECRET is not set',
        'tenants[0].clients[0].client_name: the variable NAME is not set',
      ]),
    );
  });

  test('are not looked for in the value of another', () => {
    const { tenants } = parseConfiguration(
      JSON.stringify({ tenants: [{ slug: 'acme', name: variable('A') }] }),
      {
        A: `${variable('B')} and: {yaml: [`,
      },
    );
    expect(tenants[0]?.name).toBe(`${variable('B')} and: {yaml: [`);
  });

  test('are refused when they are half written', () => {
    expect(problemsOf({ tenants: [{ slug: 'acme', name: `Acme ${variable('A-B')}` }] })).toEqual([
      expect.stringMatching(/^tenants\[0\]\.name: "\$\{" must be followed/),
    ]);
  });

  test.each(['', '$', '$$'].map((before) => before + variable('A')).concat('${', 'a$b', '$'))(
    'do not stand in an escaped %s',
    (text) => {
      const { tenants } = parseConfiguration(
        JSON.stringify({ tenants: [{ slug: 'acme', name: escapeReferences(text) }] }),
        { A: 'read from the environment' },
      );
      expect(tenants[0]?.name).toBe(text);
    },
  );
});

test('names all problems at once, each by its path', () => {
  const problems = problemsOf({
    tenant: [],
    tenants: [
      { slug: 'Acme', domains: ['localhost'], colour: 'red', users: [{ email: 'nobody', roles: 'admin' }] },
      { slug: 'globex', clients: [{ client_id: '-', redirect_uris: ['app'], grant_type: 'x' }] },
    ],
  });
  expect(problems.map((problem) => problem.slice(0, problem.indexOf(':'))).toSorted()).toEqual([
    'tenant',
    'tenants[0].colour',
    'tenants[0].domains[0]',
    'tenants[0].slug',
    'tenants[0].users[0].email',
    'tenants[0].users[0].roles',
    'tenants[1].clients[0].client_id',
    'tenants[1].clients[0].grant_type',
    'tenants[1].clients[0].redirect_uris[0]',
  ]);
});

test.each([
  ['a slug', { tenants: [{ slug: 'acme' }, { slug: 'acme' }] }, 'tenants[1].slug'],
  [
    'a client_id, also of two owners',
    {
      clients: [{ client_id: 'web', redirect_uris }],
      tenants: [{ slug: 'acme', clients: [{ client_id: 'web', redirect_uris }] }],
    },
    'tenants[0].clients[0].client_id',
  ],
  [
    'a domain of two tenants',
    {
      tenants: [
        { slug: 'acme', domains: ['acme.test'] },
        { slug: 'globex', domains: ['ACME.test'] },
      ],
    },
    'tenants[1].domains[0]',
  ],
  [
    'an address, spelt in two ways',
    { tenants: [{ slug: 'acme', users: [{ email: 'a@acme.test' }, { email: 'A@acme.test' }] }] },
    'tenants[0].users[1].email',
  ],
  [
    'a role',
    { tenants: [{ slug: 'acme', roles: [{ name: 'admin' }, { name: 'admin' }] }] },
    'tenants[0].roles[1].name',
  ],
  [
    'a resource',
    { resources: [{ identifier: 'urn:api' }, { identifier: 'urn:api' }] },
    'resources[1].identifier',
  ],
])('refuses %s that stands there twice', (_, file, path) => {
  expect(problemsOf(file)).toEqual([expect.stringMatching(/stands in the file twice$/)]);
  expect(problemsOf(file)[0]?.startsWith(`${path}: `)).toBe(true);
});

test.each([
  'https://app.acme.test/cb?x=1',
  'http://localhost:4000/cb',
  'http://127.0.0.1/cb',
  'http://[::1]:5/cb',
  'com.example.app:/cb',
])('takes the redirect URI %s [RFC 8252 7.1, 7.3]', (uri) => {
  expect(problemsOf(client({ redirect_uris: [uri] }))).toEqual([]);
});

test.each([
  'javascript:alert(1)',
  'JavaScript:alert(1)',
  'java\nscript:alert(1)',
  'data:text/html,x',
  'blob:https://app.acme.test/1',
  'file:///etc/passwd',
  'vbscript:x',
  'myapp:/cb',
  'http://app.acme.test/cb',
  'http://localhost.evil.test/cb',
  'https://app.acme.test/cb#x',
  'https://app.acme.test/cb#',
  'https://*.acme.test/cb',
  'https://user@app.acme.test/cb',
  'https:\\\\app.acme.test/cb',
  '/cb',
  'https://',
  '',
])('refuses the redirect URI %j [A-019, RFC 6749 3.1.2]', (uri) => {
  expect(problemsOf(client({ redirect_uris: [uri] }))).toEqual([
    expect.stringMatching(/^tenants\[0\]\.clients\[0\]\.redirect_uris\[0\]: must /),
  ]);
});

describe('refuses a client', () => {
  const rsa = { kty: 'RSA', n: 'w'.repeat(342), e: 'AQAB' };
  test.each([
    [
      'that is public and wants client_credentials',
      { token_endpoint_auth_method: 'none', grant_types: ['client_credentials'] },
      'grant_types',
    ],
    [
      'that is public and without PKCE',
      { token_endpoint_auth_method: 'none', require_pkce: false, redirect_uris },
      'require_pkce',
    ],
    [
      'that has refresh tokens from nothing',
      { grant_types: ['refresh_token', 'client_credentials'] },
      'grant_types',
    ],
    ['of an unknown grant', { grant_types: ['password'] }, 'grant_types[0]'],
    [
      'of an unknown authentication method',
      { token_endpoint_auth_method: 'client_secret_jwt', redirect_uris },
      'token_endpoint_auth_method',
    ],
    ['that gets codes nowhere', {}, 'redirect_uris'],
    ['whose secret can be guessed', { client_secret: 'fifteen letters', redirect_uris }, 'client_secret'],
    [
      'with a secret that it never sends',
      { client_secret: '0123456789abcdef', token_endpoint_auth_method: 'none', redirect_uris },
      'client_secret',
    ],
    [
      'with private_key_jwt and no key',
      { token_endpoint_auth_method: 'private_key_jwt', redirect_uris },
      'jwks',
    ],
    [
      'with two sources of keys',
      { jwks: { keys: [rsa] }, jwks_uri: 'https://app.acme.test/jwks', redirect_uris },
      'jwks',
    ],
    ['with a private key', { jwks: { keys: [{ ...rsa, d: 'x' }] }, redirect_uris }, 'jwks.keys[0]'],
    ['with a short key', { jwks: { keys: [{ ...rsa, n: 'w'.repeat(171) }] }, redirect_uris }, 'jwks.keys[0]'],
    ['with no key at all', { jwks: { keys: [{ kty: 'oct' }] }, redirect_uris }, 'jwks.keys[0]'],
    [
      'that is called as users are [RFC 9700 4.15]',
      { client_id: '00000000-0000-4000-8000-000000000001', redirect_uris },
      'client_id',
    ],
    ['that is called as our own are', { client_id: 'Tessera-account', redirect_uris }, 'client_id'],
    ['with a broken network', { allowed_ips: ['203.0.113.0/33'], redirect_uris }, 'allowed_ips[0]'],
    ['with an overlap in words', { client_secret_overlap: '1 day', redirect_uris }, 'client_secret_overlap'],
    ['of a tenant that names tenants', { allowed_tenants: ['acme'], redirect_uris }, 'allowed_tenants'],
  ])('%s', (_, fields, path) => {
    const problems = problemsOf(client(fields));
    expect(problems.map((problem) => problem.slice(0, problem.indexOf(':')))).toEqual([
      `tenants[0].clients[0].${path}`,
    ]);
  });

  test('without showing the secret', () => {
    expect(problemsOf(client({ client_secret: 'fifteen letters', redirect_uris })).join()).not.toContain(
      'fifteen',
    );
  });
});

describe('refuses a user', () => {
  test.each([
    [
      'with a password and a hash',
      { password: 'x'.repeat(20), password_hash: `$2b$12$${'a'.repeat(53)}` },
      'password_hash',
    ],
    ['with a bcrypt hash of cost 31 [A-086]', { password_hash: `$2a$31$${'a'.repeat(53)}` }, 'password_hash'],
    ['with an unknown hash [A-086]', { password_hash: '5f4dcc3b5aa765d61d8327deb882cf99' }, 'password_hash'],
    ['with a password of 257 characters [N-02]', { password: 'x'.repeat(257) }, 'password'],
    ['with half of a character in the password [N-04]', { password: `${'x'.repeat(20)}\ud800` }, 'password'],
    ['with a line break in the name', { name: 'a\nb' }, 'name'],
  ])('%s', (_, fields, path) => {
    const problems = problemsOf(user(fields));
    expect(problems.map((problem) => problem.slice(0, problem.indexOf(':')))).toEqual([
      `tenants[0].users[0].${path}`,
    ]);
  });
});

test.each([
  ['a slug in the form of an id', { slug: '00000000-0000-4000-8000-000000000001' }, 'slug'],
  ['the slug of the platform', { slug: 'platform' }, 'slug'],
  [
    'a session that outlasts itself',
    { settings: { session: { idle: 'PT9H', absolute: 'PT8H' } } },
    'settings.session.idle',
  ],
  ['a session of no time', { settings: { session: { idle: 'PT0S' } } }, 'settings.session.idle'],
  ['idleness past the default end', { settings: { session: { idle: 'PT9H' } } }, 'settings.session.idle'],
  [
    'a day of idleness and more',
    { settings: { session: { idle: 'P1DT1S', absolute: 'P30D' } } },
    'settings.session.idle',
  ],
  ['a session of a second', { settings: { session: { absolute: 'PT1S' } } }, 'settings.session.absolute'],
  [
    'a session for more than 30 days',
    { settings: { session: { absolute: 'P30DT1S' } } },
    'settings.session.absolute',
  ],
  ['no session at all', { settings: { session: { limit: 0 } } }, 'settings.session.limit'],
  ['a session without number', { settings: { session: { limit: 101 } } }, 'settings.session.limit'],
])('refuses %s', (_, fields, path) => {
  expect(problemsOf({ tenants: [{ slug: 'acme', ...fields }] })).toEqual([
    expect.stringMatching(`^tenants\\[0\\]\\.${path.replaceAll('.', '\\.')}: `),
  ]);
});
