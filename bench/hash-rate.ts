import { dummyHash, verifyPassword } from '#src/domain/credentials/password-hash.ts';
import { password } from './identities.ts';

// As many passwords as this process can check a second, and nothing else: `lanes` at once for so many seconds.
const [lanes, seconds] = process.argv.slice(2).map(Number) as [number, number];

let checked = 0;
const check = async (until: number) => {
  while (performance.now() < until) {
    await verifyPassword(password, dummyHash);
    checked++;
  }
};
await verifyPassword(password, dummyHash);
const startedAt = performance.now();
await Promise.all(Array.from({ length: lanes }, () => check(startedAt + seconds * 1000)));
process.send!((checked / (performance.now() - startedAt)) * 1000);
