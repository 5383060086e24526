#!/usr/bin/env node
import { apply } from '#src/cli/apply.ts';
import { type Invocation, readArguments, usage } from '#src/cli/arguments.ts';
import { describeError } from '#src/cli/describe-error.ts';
import { doctor } from '#src/cli/doctor.ts';
import { exportTenant } from '#src/cli/export.ts';
import { rotateKeys } from '#src/cli/keys.ts';
import { migrateDatabase } from '#src/cli/migrate.ts';
import { type Outcome, refuse } from '#src/cli/outcome.ts';
import { plan } from '#src/cli/plan.ts';
import { readConfigurationFile } from '#src/cli/read-file.ts';
import { type Config, readConfig } from '#src/config.ts';
import { openDatabase } from '#src/database/open.ts';
import { ConfigurationError } from '#src/domain/configuration/errors.ts';
import { type Log, makeLog } from '#src/lib/log.ts';
import { paintFor } from '#src/lib/paint.ts';
import { threadPoolSize } from '#src/lib/threads.ts';
import { makeServices, type Services } from '#src/services.ts';

type Command = Exclude<Invocation, { command: 'help' | 'serve' }>;

/** By the names of errors that say all there is to say to whoever runs a command. */
const failures: Record<string, string> = {
  ConfigError: 'config',
  MigrationError: 'migration',
  UnprotectedDatabaseError: 'unprotected',
};

// Loading modules does not use the pool, so it is not there yet.
process.env['UV_THREADPOOL_SIZE'] = String(threadPoolSize(process.env['UV_THREADPOOL_SIZE']));
process.exitCode = await main(process.argv.slice(2));

/** Gives the exit status: 0, 1 when something was refused or found wrong, 2 when the arguments mean nothing. */
async function main(argv: string[]): Promise<number> {
  const read = readArguments(argv);
  if ('problem' in read) {
    print(
      {
        ...refuse('usage', [`tessera: ${read.problem}`]),
        text: () => `tessera: ${read.problem}\n\n${usage}`,
      },
      read.json,
    );
    return 2;
  }
  const { invocation, json } = read;
  if (invocation.command === 'help') {
    process.stdout.write(usage);
    return 0;
  }
  let log: Log | undefined;
  try {
    const config = readConfig(process.env);
    // Whoever runs a command reads its answer; only the server tells of its life.
    const level = invocation.command === 'serve' || process.env['LOG_LEVEL'] ? config.logLevel : 'warn';
    log = makeLog({ level });
    if (invocation.command === 'serve') {
      // The other commands need nothing of it, and start in half the time.
      const { serve } = await import('#src/serve.ts');
      await serve(config, log);
      return 0;
    }
    const outcome = await run(invocation, config, log);
    print(outcome, json);
    return outcome.ok ? 0 : 1;
  } catch (error) {
    log?.[invocation.command === 'serve' ? 'error' : 'debug']({ err: error }, `${invocation.command} failed`);
    print(describeFailure(error), json);
    return 1;
  }
}

async function run(invocation: Command, config: Config, log: Log): Promise<Outcome> {
  switch (invocation.command) {
    case 'migrate':
      return openForMending(config, log, migrateDatabase);
    case 'doctor':
      return examine(config, log);
    case 'plan':
    case 'apply': {
      const configuration = await readConfigurationFile(invocation.file, process.env);
      const command = invocation.command === 'plan' ? plan : apply;
      return withServices(config, log, (services) => command(services, configuration));
    }
    case 'export':
      return withServices(config, log, ({ db }) => exportTenant(db, invocation));
    case 'users import': {
      const { importUsersFile } = await import('#src/cli/users-import.ts');
      return withServices(config, log, ({ db }) => importUsersFile(db, invocation, process.stderr));
    }
    case 'keys rotate':
      return withServices(config, log, (services) => rotateKeys(services, invocation));
  }
}

async function withServices(
  config: Config,
  log: Log,
  work: (services: Services) => Promise<Outcome>,
): Promise<Outcome> {
  const services = await makeServices(config, { log });
  try {
    return await work(services);
  } finally {
    await services.close();
  }
}

async function openForMending(
  config: Config,
  log: Log,
  work: (opened: Awaited<ReturnType<typeof openDatabase>>) => Promise<Outcome>,
): Promise<Outcome> {
  const opened = await openDatabase(config, log, { migrations: 'ignore' });
  try {
    return await work(opened);
  } finally {
    await opened.close();
  }
}

async function examine(config: Config, log: Log): Promise<Outcome> {
  const now = () => new Date();
  const database = await openDatabase(config, log, { migrations: 'ignore' }).catch((error: Error) => error);
  try {
    return await doctor({ config, database, now });
  } finally {
    await (database instanceof Error ? undefined : database.close());
  }
}

function describeFailure(error: unknown): Outcome {
  const { name = '', problems } = error as { name?: string; problems?: readonly string[] };
  const code = error instanceof ConfigurationError ? error.code : (failures[name] ?? 'failed');
  return refuse(code, problems ?? [describeError(error)]);
}

function print(outcome: Outcome, json: boolean): void {
  if (json) {
    process.stdout.write(`${JSON.stringify(outcome.document)}\n`);
    return;
  }
  const stream = outcome.refused ? process.stderr : process.stdout;
  stream.write(outcome.text(paintFor(stream)));
}
