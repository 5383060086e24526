import type Router from '@koa/router';
import type { Context } from 'koa';
import { isTenantId as isUuid } from '#src/database/tenant.ts';
import { endOtherSessions, endSession, labelSession, listSessions } from '#src/domain/sessions/sessions.ts';
import { AnswerError } from '#src/lib/answer-error.ts';
import { pageContext } from '#src/oidc/pages.ts';
import { requestTx } from '#src/oidc/request-store.ts';
import { displayText } from '#views/components/names.ts';
import { longestLabel, sessionsPage } from '#views/pages/sessions.ts';
import { type AccountForm, type SignedIn, withSignedIn } from './account-session.ts';
import { accountPath, redirectTo } from './account-sign-in.ts';
import { field } from './interaction.ts';
import type { PageDependencies } from './pages.ts';
import { presentSession, readDone } from './present-sessions.ts';

const sessions = '/account/sessions';

/** `/account/sessions`: where a person is signed in, and the ways to end that. Each change goes back to the list. */
export function account(router: Router, dependencies: PageDependencies): void {
  const signedIn =
    (work: (ctx: Context, signedIn: SignedIn) => Promise<void>, form?: AccountForm) => (ctx: Context) =>
      withSignedIn(ctx, dependencies, (one) => work(ctx, one), form);

  router.get('/account', (ctx) => redirectTo(ctx, `${sessions}${ctx.search}`));
  router.get(sessions, signedIn(showSessions));
  router.post(`${sessions}/end-others`, signedIn(endOthers, 'end_others'));
  router.post(`${sessions}/:id/end`, signedIn(endOne, 'end'));
  router.post(`${sessions}/:id/label`, signedIn(label, 'label'));
}

async function showSessions(ctx: Context, { tenant, user, session_id, now, csrf }: SignedIn) {
  const found = await listSessions(await requestTx(), user.id, now);
  const target = (form: AccountForm, path: string) => ({
    action: accountPath(`${sessions}/${path}`, tenant),
    csrf: csrf(form),
  });
  const done = readDone(ctx.query, found, session_id);
  ctx.type = 'html';
  ctx.body = sessionsPage(pageContext(ctx, tenant), {
    user: { email: user.email },
    sessions: found.map((session) => ({
      ...presentSession(session),
      current: session.id === session_id,
      end: target('end', `${session.id}/end`),
      rename: target('label', `${session.id}/label`),
    })),
    end_others: target('end_others', 'end-others'),
    sign_out_href: accountPath('/logout', tenant),
    ...(done ? { done } : {}),
  });
}

/** This browser's own session ends by the sign-out, which asks and tells the clients. */
async function endOne(ctx: Context, { tenant, user, session_id }: SignedIn) {
  const id = idOf(ctx);
  if (id === session_id) {
    redirectTo(ctx, accountPath('/logout', tenant));
    return;
  }
  if (!(await endSession(await requestTx(), user.id, id))) {
    throw new AnswerError(404, 'not_found');
  }
  redirectTo(ctx, accountPath(sessions, tenant, { ended: id }));
}

async function endOthers(ctx: Context, { tenant, user, session_id }: SignedIn) {
  await endOtherSessions(await requestTx(), user.id, session_id);
  redirectTo(ctx, accountPath(sessions, tenant, { ended: 'others' }));
}

async function label(ctx: Context, { tenant, user }: SignedIn) {
  const id = idOf(ctx);
  const given = displayText(field(ctx, 'label') ?? '', longestLabel);
  if (!(await labelSession(await requestTx(), user.id, id, given === '' ? null : given))) {
    throw new AnswerError(404, 'not_found');
  }
  redirectTo(ctx, accountPath(sessions, tenant, { named: id }));
}

/** The answer is the same for an id of another person, of another tenant, of nobody, and for what is no id. */
function idOf(ctx: Context): string {
  const { id } = ctx['params'];
  if (!isUuid(id)) {
    throw new AnswerError(404, 'not_found');
  }
  return id;
}
