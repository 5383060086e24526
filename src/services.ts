import path from 'node:path';
import type { Config } from '#src/config.ts';
import { type JobQueue, makeJobQueue } from '#src/database/job-queue.ts';
import { openDatabase } from '#src/database/open.ts';
import type { Database } from '#src/database/pool.ts';
import { type Catalogue, makeCatalogue } from '#src/domain/catalogue/catalogue.ts';
import { makePasswordHashing, type PasswordHashing } from '#src/domain/credentials/password-hashing.ts';
import { type Limits, makeLimits } from '#src/domain/limits/limits.ts';
import { type Mail, makeMail } from '#src/domain/mail/mail.ts';
import { makeHashingQueue } from '#src/lib/hashing-queue.ts';
import type { Log } from '#src/lib/log.ts';
import { makeSmtpTransport } from '#src/lib/mail-transport.ts';
import type { MasterKey } from '#src/lib/master-key.ts';
import { hashingLanes } from '#src/lib/threads.ts';

/** What the parts of a process share. Nothing else is passed around whole. */
export interface Services {
  /** As given, with the master keys that are in use. */
  config: Config & { readonly masterKeys: readonly MasterKey[] };
  db: Database;
  log: Log;
  now: () => Date;
  catalogue: Catalogue;
  hashing: PasswordHashing;
  limits: Limits;
  jobQueue: JobQueue;
  mail: Mail;
  close(): Promise<void>;
}

/**
 * Opens the database (starting or joining the embedded one, migrating where an owner is known) and what stands on it.
 * Throws by name when it is away, lacks migrations, or no master key is there.
 */
export async function makeServices(
  config: Config,
  { log, now = () => new Date() }: { log: Log; now?: () => Date },
): Promise<Services> {
  const opened = await openDatabase(config, log);
  const catalogue = makeCatalogue(opened.db, {
    onError: (err) => log.warn({ err }, 'configuration changes could not be read'),
  });
  const usedConfig = { ...config, masterKeys: opened.masterKeys };
  const limits = makeLimits({ db: opened.db, config: usedConfig, log });
  const jobQueue = makeJobQueue(opened.db, {
    onError: (err) => log.warn({ err }, 'the job queue did not get through'),
  });
  return {
    config: usedConfig,
    db: opened.db,
    log,
    now,
    catalogue,
    hashing: makePasswordHashing(
      makeHashingQueue({ concurrency: hashingLanes(), maxWaiting: 200, maxWaitMs: 2_000 }),
      {
        peppers: config.passwordPeppers,
        onMissingPepper: (pepper) =>
          log.error(
            { event: 'password.pepper_missing', pepper },
            `a password cannot be verified: its hash names the pepper "${pepper}", which PASSWORD_PEPPERS lacks`,
          ),
      },
    ),
    limits,
    jobQueue,
    mail: makeMail({
      masterKeys: opened.masterKeys,
      jobQueue,
      smtp: config.smtp && makeSmtpTransport(config.smtp.url.reveal()),
      mailboxFolder: config.production ? undefined : path.join(config.dataDir, 'mail'),
    }),
    async close() {
      catalogue.stop();
      await limits.close();
      await opened.close();
    },
  };
}
