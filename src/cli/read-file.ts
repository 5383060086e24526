import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { ConfigurationError } from '#src/domain/configuration/errors.ts';
import { parseConfiguration } from '#src/domain/configuration/parse.ts';
import type { Configuration } from '#src/domain/configuration/schema.ts';

/** Reads a configuration file, or standard input for `-`. Throws a ConfigurationError when it cannot be read or used. */
export async function readConfigurationFile(file: string, env: NodeJS.ProcessEnv): Promise<Configuration> {
  return parseConfiguration(await readText(file), env);
}

async function readText(file: string): Promise<string> {
  try {
    return await (file === '-' ? text(process.stdin) : readFile(file, 'utf8'));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new ConfigurationError('invalid', [`the file: ${file} cannot be read (${code})`], { cause });
  }
}
