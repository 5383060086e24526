import type { Context } from 'koa';
import { passwordRule } from '#src/domain/credentials/password-policy.ts';
import { pageContext, presentClient } from '#src/oidc/pages.ts';
import { type NewPasswordProps, newPasswordPage } from '#views/pages/new-password.ts';
import type { Step } from './interaction.ts';

/** Shows the page on which a new password is chosen. Its script may call this server, and nothing else. */
export function renderNewPassword(
  ctx: Context,
  { interaction: { uid }, client, tenant, csrf }: Step,
  form: Pick<NewPasswordProps, 'email' | 'error' | 'refusal'> = {},
  status = 200,
): void {
  ctx.status = status;
  ctx.type = 'html';
  ctx.set('content-security-policy', `${ctx.response.get('content-security-policy')}; connect-src 'self'`);
  ctx.body = newPasswordPage(pageContext(ctx, tenant), {
    action: `/login/${uid}/password`,
    check_action: `/login/${uid}/password/check`,
    cancel_action: `/login/${uid}/cancel`,
    csrf,
    client: presentClient(client),
    minimum: passwordRule(tenant.settings).minimum,
    ...form,
  });
}
