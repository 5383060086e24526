import { expect, test } from '@jest/globals';
import { readArguments, usage } from '#src/cli/arguments.ts';

test.each([
  [['serve'], { command: 'serve' }],
  [['migrate', '--json'], { command: 'migrate' }],
  [['doctor'], { command: 'doctor' }],
  [['plan', 'acme.yaml'], { command: 'plan', file: 'acme.yaml' }],
  [['apply', '-'], { command: 'apply', file: '-' }],
  [['--json', 'apply', 'acme.yaml'], { command: 'apply', file: 'acme.yaml' }],
  [['export', '--tenant', 'acme'], { command: 'export', tenant: 'acme', withPasswordHashes: false }],
  [
    ['export', '--tenant=acme', '--with-password-hashes'],
    { command: 'export', tenant: 'acme', withPasswordHashes: true },
  ],
  [['keys', 'rotate'], { command: 'keys rotate', atOnce: false }],
  [['keys', 'rotate', '--now'], { command: 'keys rotate', atOnce: true }],
  [
    ['users', 'import', 'users.csv', '--tenant', 'acme'],
    { command: 'users import', file: 'users.csv', tenant: 'acme', report: undefined },
  ],
  [
    ['users', 'import', 'a', '--tenant=acme', '--report', 'b', '--json'],
    { command: 'users import', file: 'a', tenant: 'acme', report: 'b' },
  ],
  [['help'], { command: 'help' }],
  [['apply', '--help'], { command: 'help' }],
])('reads %j', (argv, invocation) => {
  expect(readArguments(argv)).toEqual({ json: argv.includes('--json'), invocation });
});

test.each([
  [[], 'a command is needed'],
  [['frobnicate'], 'there is no command frobnicate'],
  [['users', 'import', 'x'], 'users import needs one FILE and --tenant SLUG'],
  [['users', 'import', '--tenant', 'acme'], 'users import needs one FILE and --tenant SLUG'],
  [['users', 'import', 'a', 'b', '--tenant', 'acme'], 'users import needs one FILE and --tenant SLUG'],
  [['users', 'import', 'a', '--tenant', 'acme', '--now'], '--now does not belong to users import'],
  [['apply', 'a', '--report', 'b'], '--report does not belong to apply'],
  [['users'], 'there is no command users'],
  [['keys'], 'there is no command keys'],
  [['keys', 'delete'], 'there is no command keys delete'],
  [['constructor'], 'there is no command constructor'],
  [['apply'], 'apply needs one FILE'],
  [['apply', 'a', 'b'], 'apply needs one FILE'],
  [['export'], 'export needs --tenant SLUG and nothing else'],
  [['export', 'acme'], 'export needs --tenant SLUG and nothing else'],
  [['migrate', 'now'], 'migrate takes no now'],
  [['apply', 'a', '--now'], '--now does not belong to apply'],
  [['migrate', '--frobnicate'], "Unknown option '--frobnicate'"],
  [['export', '--tenant'], expect.stringContaining('--tenant <value>')],
])('takes %j for a mistake', (argv, problem) => {
  expect(readArguments(argv)).toEqual({ json: false, problem });
});

test('names every command in the usage text', () => {
  for (const command of [
    'serve',
    'migrate',
    'plan',
    'apply',
    'export',
    'users import',
    'keys rotate',
    'doctor',
  ]) {
    expect(usage).toContain(`\n  ${command} `);
  }
});
