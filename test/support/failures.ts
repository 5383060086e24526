import { runStatements } from './postgres.ts';

/** Ends every wait for wrong passwords, so that what a test sees refused is not refused for the failures of the test before. */
export async function forgetFailures({ urls }: { urls: { superUrl: string } }): Promise<void> {
  await runStatements(urls.superUrl, [
    'update users set failed_login_attempts = 0, failed_device_attempts = 0, locked_until = null',
  ]);
}
