import { expect, test } from '@jest/globals';
import { runProgram } from './run-example.ts';

const script = 'scripts/run-example.ts';

test('an example runs on a database that lives only so long', async () => {
  expect(await runProgram(script, ['postgrest'])).toContain('acme sees acme keyboard, acme monitor');
});

test.each(['drizzle', 'prisma'])('%s runs with tokens of a server that lives only so long', async (name) => {
  const [acmeSays, acmeSees, globexSays, globexSees, ...more] = await runProgram(script, [name]);
  expect([acmeSays, globexSays, ...more]).toEqual([
    'acme places an order and sees:',
    'globex places an order and sees:',
  ]);
  for (const [slug, seen] of Object.entries({ acme: acmeSees, globex: globexSees })) {
    const items = (JSON.parse(seen!) as { item: string }[]).map(({ item }) => item);
    expect(items.sort()).toEqual(
      ['chair', 'desk lamp', 'keyboard', 'monitor'].map((item) => `${slug} ${item}`),
    );
  }
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
