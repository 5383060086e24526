import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createTestDatabase, type TestDatabase, withDatabase } from '../../../test/support/postgres.ts';
import { emptyFolder, rls } from './bin.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.drop());

/** A server at a URL with a password, for `geheimnis` to be looked for. */
async function listen(answer: (socket: Socket) => void) {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    answer(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `postgres://me:geheimnis@127.0.0.1:${port}/db`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

const explain = [
  'explain',
  'token',
  '--table',
  't',
  '--issuer',
  'https://id.example.test',
  '--audience',
  'a',
];
const somewhere = ['--url', 'postgres://localhost/db'];

describe('a command line that is wrong is told in one line, with the usage, and exit 2', () => {
  test.each([
    ['no command', [], /which command\? lint, prove or explain/],
    ['an unknown command', ['lnit'], /no command "lnit"/],
    ['an unknown option', ['lint', '--sariff', 'x'], /unknown option '--sariff'/],
    ['an option of another command', ['prove', '--sarif', 'x'], /unknown option '--sarif'/],
    ['an option without its value', ['lint', '--url'], /'--url <value>' argument missing/],
    ['a value that is none', ['lint', '--json=yes'], /'--json' does not take an argument/],
    ['words too many', ['lint', 'orders'], /rls lint takes options only/],
    ['no database', ['lint'], /--url postgres:.* or set DATABASE_URL/],
    ['a URL that is none', ['lint', '--url', 'localhost:5432'], /must be like postgres:/],
    ['a URL of something else', ['lint', '--url', 'https://localhost/db'], /must be like postgres:/],
    ['a password that breaks the URL', ['lint', '--url', 'postgres://me:se#cret@localhost/db'], /# as %23/],
    ['no token', ['explain', ...somewhere], /needs a token, or -/],
    ['no table', [...explain.toSpliced(2, 2), ...somewhere], /needs --table/],
    ['no issuer', [...explain.toSpliced(4, 2), ...somewhere], /needs --issuer/],
    ['no audience', [...explain.toSpliced(6, 2), ...somewhere], /needs --audience/],
  ])('%s', async (_, args, message) => {
    const { exit, stdout, stderr } = await rls(args);
    expect({ exit, stdout }).toEqual({ exit: 2, stdout: '' });
    expect(stderr).toMatch(/^rls: .+\nUsage: rls /);
    expect(stderr.split('\n')[0]).toMatch(message);
    expect(stderr).not.toMatch(/se#cret|cret@|node:|at .*\.ts/);
  });

  test('the second word of explain is not repeated, since it may be a token', async () => {
    const { exit, stderr } = await rls(['explain', 'eyJone', 'eyJtwo']);
    expect(exit).toBe(2);
    expect(stderr).not.toMatch(/eyJ/);
  });
});

describe('a database that cannot be asked is exit 2, and the message names it without the password', () => {
  const wrong = (change: (url: URL) => void) => {
    const url = new URL(database.runtimeUrl);
    change(url);
    return url;
  };

  test('nobody listens', async () => {
    const url = wrong((url) => {
      url.port = '1';
      url.password = 'geheimnis';
    });
    const { exit, stdout, stderr } = await rls(['lint', '--json', '--url', url.href]);
    expect({ exit, stdout }).toEqual({ exit: 2, stdout: '' });
    expect(stderr).toBe(
      `rls: cannot connect to database "${database.name}" on ${url.hostname}:1 as "${url.username}": nothing listens there; is the server running?\n`,
    );
  });

  test('a wrong password', async () => {
    // A server of the tests may trust this machine and ask for none, so the answer is given here.
    const fields = 'SFATAL\0C28P01\0Mpassword authentication failed for user "me"\0\0';
    const length = Buffer.alloc(4);
    length.writeInt32BE(4 + fields.length);
    const answer = Buffer.concat([Buffer.from('E'), length, Buffer.from(fields)]);
    await using server = await listen((socket) => socket.once('data', () => socket.end(answer)));
    const { exit, stdout, stderr } = await rls(['prove', '--url', server.url]);
    expect({ exit, stdout }).toEqual({ exit: 2, stdout: '' });
    expect(stderr).toBe(
      `rls: cannot connect to database "db" on 127.0.0.1:${server.port} as "me": wrong user or password\n`,
    );
  });

  test('a database that is not there, named by DATABASE_URL', async () => {
    const url = withDatabase(database.runtimeUrl, 'no_such_database');
    const { exit, stderr } = await rls(['lint'], { env: { DATABASE_URL: url } });
    expect(exit).toBe(2);
    expect(stderr).toMatch(/"no_such_database" on .+: there is no such database\n$/);
  });

  test('a server that takes the connection and says nothing is given up', async () => {
    await using server = await listen(() => {});
    const { exit, stderr } = await rls(['lint', '--url', server.url]);
    expect(exit).toBe(2);
    expect(stderr).toBe(
      `rls: cannot connect to database "db" on 127.0.0.1:${server.port} as "me": no answer within 10 seconds\n`,
    );
  });

  test('a role and a schema that are not there', async () => {
    const role = await rls(['lint', '--url', database.runtimeUrl, '--role', 'nobody_here']);
    expect(role).toMatchObject({ exit: 2, stderr: expect.stringMatching(/^rls: no role "nobody_here"/) });
    const schema = await rls(['lint', '--url', database.runtimeUrl, '--schema', 'nowhere']);
    expect(schema).toMatchObject({ exit: 2, stderr: expect.stringMatching(/^rls: no schema "nowhere"/) });
  });
});

describe('rls.json', () => {
  test.each([
    [
      'an unknown member',
      '{"tenantColumn": "org_id"}',
      /unknown member "tenantColumn"; known are schemas, role/,
    ],
    ['a member of another form', '{"schemas": "shop"}', /"schemas" must be a list of names/],
    ['a shared table without a reason', '{"shared": {"shop.plans": ""}}', /"shared" must be an object of/],
    ['no object', '[]', /must be a JSON object/],
    ['no JSON', '{schemas: []}', /rls.json is not JSON/],
  ])('is refused with %s', async (_, json, message) => {
    using folder = emptyFolder();
    writeFileSync(folder.file('rls.json'), json);
    const { exit, stdout, stderr } = await rls(['lint', '--url', database.runtimeUrl], {
      directory: folder.path,
    });
    expect({ exit, stdout }).toEqual({ exit: 2, stdout: '' });
    expect(stderr).toMatch(message);
  });

  test('that --config names must be there', async () => {
    const { exit, stderr } = await rls(['lint', '--url', database.runtimeUrl, '--config', 'absent.json']);
    expect(exit).toBe(2);
    expect(stderr).toBe('rls: cannot read absent.json (ENOENT)\n');
  });

  test('says what options may say too, and these win', async () => {
    using folder = emptyFolder();
    writeFileSync(folder.file('rls.json'), '{"schemas": ["nowhere"], "role": "nobody_here"}');
    const url = ['lint', '--url', database.runtimeUrl];
    const file = await rls(url, { directory: folder.path });
    expect(file.stderr).toMatch(/no schema "nowhere"/);
    const schema = await rls([...url, '--schema', 'public'], { directory: folder.path });
    expect(schema.stderr).toMatch(/no role "nobody_here"/);
  });
});

test('--help and --version go to standard output, with exit 0', async () => {
  for (const args of [
    ['--help'],
    ['lint', '--help'],
    ['prove', '-h'],
    ['explain', '--help'],
    ['help', 'lint'],
  ]) {
    const { exit, stdout, stderr } = await rls(args);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    expect(stdout).toMatch(/^Usage: rls [\s\S]+Exit: 0 /);
  }
  expect(await rls(['--version'])).toEqual({ exit: 0, stdout: '0.1.0\n', stderr: '' });
});
