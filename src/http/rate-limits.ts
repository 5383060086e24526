import type { Middleware } from 'koa';
import type { BatchedName } from '#src/budgets.ts';
import { addressKey } from '#src/lib/client-ip.ts';
import { requestInfo } from '#src/lib/request-info.ts';
import { routes } from '#src/oidc/routes.ts';
import { answerTooManyRequests } from '#src/oidc/too-many-requests.ts';
import type { Services } from '#src/services.ts';

const library: Record<string, BatchedName> = {
  [routes.token]: 'token_address',
  [routes.pushed_authorization_request]: 'par_address',
  [routes.userinfo]: 'calls',
  [routes.introspection]: 'calls',
  [routes.revocation]: 'calls',
};

/** The first that fits; in any case and with a slash behind, as the router takes them. */
const byForm: [form: RegExp, name: BatchedName][] = [
  [/^\/login\/[^/]+\/password\/check\/?$/i, 'password_check'],
  [/^\/recover(\/|$)/i, 'recovery'],
  [/^\/register(\/|$)/i, 'registration'],
  [/^\/api(\/|$)/i, 'api'],
  [/^/, 'pages'],
];

/** Counts every request for the address that it comes from, by its path, and answers 429 when there were too many. */
export function limitAddresses({ limits }: Pick<Services, 'limits'>): Middleware {
  return async (ctx, next) => {
    const refusal = limits.take(budgetFor(ctx.path), addressKey(requestInfo(ctx.req).ip));
    if (refusal) {
      answerTooManyRequests(ctx, refusal);
      return;
    }
    await next();
  };
}

function budgetFor(path: string): BatchedName {
  return library[path] ?? byForm.find(([form]) => form.test(path))![1];
}
