#!/usr/bin/env node
import { text } from 'node:stream/consumers';
import { run } from './run.ts';

// `rls lint | head` closes the pipe before all is written.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

const { exit, stdout, stderr } = await run(process.argv.slice(2), {
  env: process.env,
  directory: process.cwd(),
  colours: process.stdout.isTTY === true && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb',
  stdin: () => text(process.stdin),
});
process.stderr.write(stderr);
process.stdout.write(stdout);
process.exitCode = exit;
