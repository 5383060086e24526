import type { Context } from 'koa';
import type { User } from '#src/domain/users/users.ts';
import type { Step } from './interaction.ts';
import { renderNewPassword } from './new-password-form.ts';

/** Something that stands between a right password and the client. */
interface SignInStep {
  isDue(user: User): boolean;
  /** Answers with the page of the step, which comes back to `proceed` when it is done. */
  show(ctx: Context, step: Step, user: User): void;
}

/** In this order; the first that is due is shown. */
const signInSteps: SignInStep[] = [
  {
    isDue: ({ status }) => status === 'compromised',
    show: (ctx, step, { email }) => renderNewPassword(ctx, step, { email }),
  },
];

/** Takes a user whose password was right on to the next step that is due, or ends the sign-in. */
export async function proceed(ctx: Context, step: Step, user: User): Promise<void> {
  const next = signInSteps.find(({ isDue }) => isDue(user));
  if (next) {
    next.show(ctx, step, user);
    return;
  }
  // Never before the moment from which sign-ins of this user count, whatever this node's clock says.
  const ts = Math.floor(Math.max(Date.now(), user.sessions_valid_from?.getTime() ?? 0) / 1000);
  await step.finish({ login: { accountId: user.id, acr: 'urn:tessera:aal1', amr: ['pwd'], ts } });
}
