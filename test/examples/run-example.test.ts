import { expect, test } from '@jest/globals';
import { runProgram } from './run-example.ts';

const script = 'scripts/run-example.ts';

test('an example runs on a database that lives only so long', async () => {
  expect(await runProgram(script, ['postgrest'])).toContain('acme sees acme keyboard, acme monitor');
});

test('a name that is no example is answered with those that are', async () => {
  await expect(runProgram(script, ['../src'])).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/postgrest.*supabase/),
  });
});

test('without a database an example says how to get one', async () => {
  const env = { ...process.env, DATABASE_URL: '' };
  for (const name of ['postgrest', 'supabase']) {
    await expect(runProgram(`examples/${name}/main.ts`, [], env)).rejects.toMatchObject({
      stderr: expect.stringContaining(`npm run example ${name}`),
    });
  }
});
