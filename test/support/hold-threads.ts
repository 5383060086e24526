import { execFileSync } from 'node:child_process';
import dns from 'node:dns/promises';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

// Loaded into a server by NODE_OPTIONS. On SIGUSR2 it holds as many threads of Node's pool as HOLD_THREADS says, each in a pipe
// that nobody opens for writing, and says on standard error that names, files and compression were served all the same.

process.once('SIGUSR2', async () => {
  const folder = fs.mkdtempSync(path.join(tmpdir(), 'threads-'));
  const pipes = Array.from({ length: Number(process.env['HOLD_THREADS']) }, (_, index) =>
    path.join(folder, String(index)),
  );
  execFileSync('mkfifo', pipes);
  const held = pipes.map((pipe) => fs.promises.open(pipe, 'r'));
  await Promise.all([dns.lookup('localhost'), fs.promises.stat(folder), promisify(gzip)('text')]);
  for (const pipe of pipes) {
    fs.closeSync(fs.openSync(pipe, fs.constants.O_RDWR));
  }
  await Promise.all(held.map(async (file) => (await file).close()));
  fs.rmSync(folder, { recursive: true });
  process.stderr.write('served with all lanes held\n');
});
