import type Router from '@koa/router';
import type { Context } from 'koa';
import { clientMembers } from '#src/oidc/client-metadata.ts';
import { pageContext, presentClient } from '#src/oidc/pages.ts';
import { answerTooManyRequests } from '#src/oidc/too-many-requests.ts';
import { type LoginProps, loginPage } from '#views/pages/login.ts';
import { unlessBusy } from './busy.ts';
import { field, type Step, withStep } from './interaction.ts';
import type { PageDependencies } from './pages.ts';
import { attemptPassword } from './password-attempt.ts';
import { proceed } from './sign-in-steps.ts';

/** `/login/:uid`: e-mail and password, in the tenant that the request was found to be of. */
export function login(router: Router, dependencies: PageDependencies): void {
  router.get('/login/:uid', (ctx) => withStep(ctx, dependencies, 'login', async (step) => render(ctx, step)));
  router.post('/login/:uid', (ctx) => signIn(ctx, dependencies));
  router.post('/login/:uid/cancel', (ctx) =>
    withStep(ctx, dependencies, 'login', (step) =>
      step.finish({ error: 'access_denied', error_description: 'the user cancelled the sign-in' }),
    ),
  );
}

/** Looks at the step, lets go of the database while the password is hashed, and then goes on once. */
async function signIn(ctx: Context, dependencies: PageDependencies) {
  const email = field(ctx, 'email')?.trim();
  const password = field(ctx, 'password');
  const kept = email ? { email } : {};
  const inStep = <T>(work: (step: Step) => Promise<T>, options?: { lock: boolean }) =>
    withStep(ctx, dependencies, 'login', work, options);
  const refuse = (error: NonNullable<LoginProps['error']>, status: number) =>
    inStep(async (step) => render(ctx, step, { ...kept, error }, status), { lock: false });

  const { tenant, interaction } = await inStep(async (step) => step, { lock: false });
  const { tenant_id } = tenant;
  if (!email || !password) {
    await refuse('missing', 400);
    return;
  }
  const enter = async () => {
    const outcome = await attemptPassword(ctx, dependencies, { tenant_id, email, password });
    if (outcome.ok) {
      await inStep((step) => proceed(ctx, step, outcome.user));
    } else if (outcome.reason === 'limited') {
      answerTooManyRequests(ctx, outcome.refusal, { tenant, back: `/login/${interaction.uid}` });
    } else {
      await refuse(outcome.reason === 'wrong' ? 'wrong_credentials' : outcome.reason, 401);
    }
  };
  await unlessBusy(ctx, enter, () => refuse('busy', 503));
}

function render(
  ctx: Context,
  { interaction, client, tenant, csrf }: Step,
  form: Pick<LoginProps, 'email' | 'error'> = {},
  status = 200,
) {
  const { login_hint } = interaction.params;
  ctx.status = status;
  ctx.type = 'html';
  ctx.body = loginPage(pageContext(ctx, tenant), {
    action: `/login/${interaction.uid}`,
    cancel_action: `/login/${interaction.uid}/cancel`,
    csrf,
    client: presentClient(client),
    ...(clientMembers(client).shared ? { switch_workspace_href: workspaceHref(interaction.params) } : {}),
    ...(typeof login_hint === 'string' ? { email: login_hint } : {}),
    ...form,
  });
}

/** The same authorization request, asked again for another tenant. */
function workspaceHref(params: Record<string, unknown>): string {
  const { tenant: _, login_hint: __, ...rest } = params;
  const query = Object.entries(rest).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return `/workspace?${new URLSearchParams({ query: new URLSearchParams(query).toString() })}`;
}
