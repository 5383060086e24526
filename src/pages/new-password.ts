import type Router from '@koa/router';
import type { Context } from 'koa';
import { withTenant } from '#src/database/tenant.ts';
import { listContextWords } from '#src/domain/credentials/password-context.ts';
import { judgePassword, passwordRule } from '#src/domain/credentials/password-policy.ts';
import { listTenantDomains, type Tenant } from '#src/domain/tenants/tenants.ts';
import { mendCompromisedUser } from '#src/domain/users/users.ts';
import { normaliseEmail } from '#src/lib/email.ts';
import { pageContext } from '#src/oidc/pages.ts';
import { requestStore, requestTx } from '#src/oidc/request-store.ts';
import { answerTooManyRequests } from '#src/oidc/too-many-requests.ts';
import { praiseText, refusalText } from '#views/components/password.ts';
import type { NewPasswordProps } from '#views/pages/new-password.ts';
import { text } from '#views/text/text.ts';
import { unlessBusy } from './busy.ts';
import { field, type Step, withStep } from './interaction.ts';
import { renderNewPassword } from './new-password-form.ts';
import { occasionOf } from './notices.ts';
import type { PageDependencies } from './pages.ts';
import { attemptPassword } from './password-attempt.ts';
import { proceed } from './sign-in-steps.ts';

/** `/login/:uid/password`: a new password for a compromised user, who has to know the current one. */
export function newPassword(router: Router, dependencies: PageDependencies): void {
  router.get('/login/:uid/password', (ctx) =>
    withStep(ctx, dependencies, 'login', async (step) => renderNewPassword(ctx, step)),
  );
  router.post('/login/:uid/password', (ctx) => choose(ctx, dependencies));
  router.post('/login/:uid/password/check', (ctx) =>
    withStep(ctx, dependencies, 'login', (step) => check(ctx, step), { lock: false }),
  );
}

type Problem = Pick<NewPasswordProps, 'error' | 'refusal'>;

/** Looks at the step, lets go of the database while passwords are judged and hashed, and then changes everything at once. */
async function choose(ctx: Context, dependencies: PageDependencies): Promise<void> {
  const { db, hashing, mail, now } = dependencies.services;
  const email = field(ctx, 'email')?.trim();
  const password = field(ctx, 'password');
  const chosen = field(ctx, 'new_password');
  const inStep = <T>(work: (step: Step) => Promise<T>, options?: { lock: boolean }) =>
    withStep(ctx, dependencies, 'login', work, options);
  const refuse = (problem: Problem, status: number) =>
    inStep(
      async (step) => renderNewPassword(ctx, step, { ...(email ? { email } : {}), ...problem }, status),
      {
        lock: false,
      },
    );

  const { tenant, interaction, over } = await inStep(async (step) => ({ ...step, over: goOn(ctx, step) }), {
    lock: false,
  });
  if (over) {
    return;
  }
  if (!email || !password || !chosen) {
    await refuse({ error: 'missing' }, 400);
    return;
  }
  const change = async () => {
    const { tenant_id } = tenant;
    const outcome = await attemptPassword(ctx, dependencies, { tenant_id, email, password });
    if (!outcome.ok && outcome.reason === 'limited') {
      answerTooManyRequests(ctx, outcome.refusal, { tenant, back: `/login/${interaction.uid}/password` });
      return;
    }
    if (!outcome.ok) {
      const error = outcome.reason === 'wrong' ? 'wrong_credentials' : outcome.reason;
      await refuse({ error }, 401);
      return;
    }
    const { user, device_secret } = outcome;
    const judgement =
      password.normalize('NFC') === chosen.normalize('NFC')
        ? { ok: false as const, reason: 'unchanged', advice: [] }
        : await judge(chosen, tenant, {
            user,
            domains: await withTenant(db, tenant_id, listTenantDomains),
          });
    if (!judgement.ok) {
      await refuse({ refusal: judgement }, 400);
      return;
    }
    const to = await hashing.hash(chosen);
    await inStep(async (step) => {
      if (goOn(ctx, step)) {
        return;
      }
      // The answer waits for the commit, whatever page comes next.
      requestStore().wrote = true;
      const mended = await mendCompromisedUser(await requestTx(), user.id, {
        from: user.password_hash,
        to,
        device: device_secret,
      });
      if (mended) {
        const data = occasionOf(ctx, now());
        const about = { to: mended.email, user_id: mended.id };
        await mail.queue(await requestTx(), { ...about, kind: 'password_changed', data });
        await proceed(ctx, step, mended);
      } else {
        // Not compromised, or not any more: the way in is the usual one.
        ctx.redirect(`/login/${step.interaction.uid}`);
        ctx.status = 303;
      }
    });
  };
  await unlessBusy(ctx, change, () => refuse({ error: 'busy' }, 503));
}

/** Says what would be said of the password typed so far. Asks nothing of the database that the visitor did not type. */
async function check(ctx: Context, { tenant }: Step): Promise<void> {
  const typed = field(ctx, 'new_password') ?? '';
  const judgement = await judge(typed, tenant, {
    user: { email: normaliseEmail(field(ctx, 'email') ?? '') },
    domains: await listTenantDomains(await requestTx()),
  });
  const words = text(pageContext(ctx).lang);
  ctx.body = judgement.ok
    ? { score: judgement.score, text: praiseText(words, judgement.score) }
    : { score: 1, text: refusalText(words, judgement, passwordRule(tenant.settings).minimum) };
}

function judge(
  password: string,
  tenant: Tenant,
  {
    domains,
    user,
  }: { domains: readonly string[]; user: { email?: string | undefined; name?: string | null } },
) {
  const words = listContextWords({ tenant, domains, user });
  return judgePassword(password, { ...passwordRule(tenant.settings), words });
}

/** A form that is sent twice goes where the first one went. */
function goOn(ctx: Context, { interaction }: Step): boolean {
  if (!interaction.result) {
    return false;
  }
  ctx.redirect(interaction.returnTo);
  ctx.status = 303;
  return true;
}
