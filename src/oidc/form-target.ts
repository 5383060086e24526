import type { Context } from 'koa';

/**
 * Lets the forms of this answer lead to a client: browsers hold `form-action` against the redirects behind a form, too. The URI
 * must have been checked against the client's own.
 */
export function allowFormTarget(ctx: Pick<Context, 'response' | 'set'>, redirect_uri: string): void {
  const url = URL.parse(redirect_uri);
  const policy = ctx.response.get('content-security-policy');
  const target = url && (url.origin === 'null' ? url.protocol : url.origin);
  // A host may hold `;` or `,`, where another directive or policy would begin.
  if (target && !/[;,]/.test(target)) {
    ctx.set(
      'content-security-policy',
      policy.replace(/form-action 'self'[^;]*/, `form-action 'self' ${target}`),
    );
  }
}
