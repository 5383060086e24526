import type Provider from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { requestInfo } from '#src/lib/request-info.ts';

type ProtocolError = Error & { error?: string; error_detail?: string; error_description?: string };

/** Refusals that carry their reason only for the log: the answer names the code alone. */
const refusals = [
  'authorization.error',
  'grant.error',
  'introspection.error',
  'revocation.error',
  'userinfo.error',
  'pushed_authorization_request.error',
  'end_session.error',
  'end_session_confirm.error',
  'end_session_success.error',
] as const;

/** Logs every refusal with its reason, every revoked grant, and every error of the server with its stack. */
export function logProviderEvents(provider: Provider): void {
  const on = (event: string, listener: (ctx: KoaContextWithOIDC, error: ProtocolError) => void) =>
    (provider as unknown as NodeJS.EventEmitter).on(event, listener);
  for (const event of refusals) {
    on(event, (ctx, { error, message, error_detail, error_description }) => {
      const reason = error_detail ?? error_description;
      requestInfo(ctx.req).log.info(
        { event, error: error ?? message, reason, client_id: ctx.oidc?.client?.clientId },
        'refused',
      );
    });
  }
  on('grant.revoked', (ctx) => {
    requestInfo(ctx.req).log.info(
      { event: 'grant.revoked', client_id: ctx.oidc?.client?.clientId },
      'grant revoked',
    );
  });
  on('server_error', (ctx, error) => {
    requestInfo(ctx.req).log.error({ event: 'server_error', err: error }, 'server error');
  });
}
