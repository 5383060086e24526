import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type Provider from 'oidc-provider';
import { withTenant } from '#src/database/tenant.ts';
import { ensureBuiltInClients } from '#src/domain/clients/built-in-clients.ts';
import { ensureServerSecrets } from '#src/domain/keys/server-secrets.ts';
import { ensureSigningKeys, readSigningKeys, type SigningKeySet } from '#src/domain/keys/signing-keys.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import type { Services } from '#src/services.ts';
import { type BrowserSessions, makeBrowserSessions } from './browser-sessions.ts';
import { makeCookies } from './cookies.ts';
import { makeProtocolCipher } from './protocol-cipher.ts';
import { makeProvider } from './provider.ts';
import { documentPaths } from './routes.ts';

/** A document that changes only with the signing keys: its bytes are made once. */
export interface PublicDocument {
  body: string;
  etag: string;
  type: string;
}

/** The provider of this moment. It is built anew and swapped when a signing key is published, takes over or retires. */
export interface LiveProvider {
  current(): Provider;
  handle(req: IncomingMessage, res: ServerResponse): Promise<void>;
  /** The document at this path, once the provider has made it. */
  document(path: string): PublicDocument | undefined;
  /** The sessions of browsers, for pages of our own. */
  readonly sessions: BrowserSessions;
  /** Whether signing keys are loaded, for readiness. */
  ready(): boolean;
  stop(): void;
}

const maxTimerMs = 2 ** 31 - 1;

export async function makeLiveProvider(services: Services): Promise<LiveProvider> {
  const { catalogue, config, db, log, now } = services;
  const { masterKeys } = config;
  const secrets = await withTenant(db, platformTenantId, async (tx) => {
    await ensureSigningKeys(tx, masterKeys, now());
    const secrets = await ensureServerSecrets(tx, masterKeys);
    await ensureBuiltInClients(tx, config.issuer);
    return secrets;
  });
  const cipher = makeProtocolCipher(secrets.protocol_store);

  const build = (keys: SigningKeySet) => {
    const provider = makeProvider({ services, secrets, cipher, keys });
    const documents = new Map<string, PublicDocument>();
    keepDocuments(provider, documents);
    return { provider, documents, keys: fingerprint(keys), handle: provider.callback() };
  };
  const readKeys = () =>
    withTenant(db, platformTenantId, (tx) => readSigningKeys(tx, masterKeys, now()), { aux: true });

  let keys = await readKeys();
  let current = build(keys);
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  const scheduleChange = () => {
    clearTimeout(timer);
    if (keys.next_change && !stopped) {
      timer = setTimeout(
        refresh,
        Math.min(maxTimerMs, Math.max(0, keys.next_change.getTime() - now().getTime())),
      );
      timer.unref();
    }
  };
  const refresh = async () => {
    try {
      keys = await readKeys();
      if (fingerprint(keys) !== current.keys) {
        current = build(keys);
        log.info(
          {
            event: 'signing_keys.changed',
            keys: keys.keys.map(({ kid, alg, state }) => ({ kid, alg, state })),
          },
          'signing keys changed',
        );
      }
      scheduleChange();
    } catch (error) {
      log.error({ err: error }, 'signing keys could not be read; the known ones stay in use');
      timer = setTimeout(refresh, 1_000);
      timer.unref();
    }
  };
  catalogue.onChange((tenant_ids) => {
    if (tenant_ids.has(platformTenantId)) {
      void refresh();
    }
  });
  scheduleChange();

  return {
    current: () => current.provider,
    handle: (req, res) => current.handle(req, res),
    sessions: makeBrowserSessions({ cipher, cookies: makeCookies(config.issuer) }),
    document: (path) => current.documents.get(path),
    ready: () => keys.keys.some(({ state }) => state === 'active'),
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

function fingerprint({ keys }: SigningKeySet): string {
  return keys.map(({ kid, state }) => `${kid} ${state}`).join('\n');
}

function keepDocuments(provider: Provider, documents: Map<string, PublicDocument>) {
  provider.use(async (ctx, next) => {
    await next();
    if (ctx.method === 'GET' && ctx.status === 200 && documentPaths.has(ctx.path)) {
      const body = JSON.stringify(ctx.body);
      const etag = `"${createHash('sha256').update(body).digest('base64url')}"`;
      documents.set(ctx.path, { body, etag, type: ctx.response.type });
    }
  });
}
