import { decodeJwt } from 'jose';
import { errors, interactionPolicy, type KoaContextWithOIDC } from 'oidc-provider';

const { base, Check } = interactionPolicy;

/** When a page is shown before the answer: the library's own reasons, and ours. */
export function makeInteractionPolicy() {
  const policy = base();
  const { checks } = policy.get('login')!;
  checks.add(new Check('hinted_user', 'id_token_hint names another user', checkHintedUser));
  checks.add(
    new Check('unavailable_user', 'the user may no longer sign in', 'login_required', checkAvailableUser),
  );
  return policy;
}

/** Somebody is signed in who is disabled or gone by now: only another one may go on. */
function checkAvailableUser({ oidc }: KoaContextWithOIDC): boolean {
  return oidc.session?.accountId !== undefined && oidc.account === undefined
    ? Check.REQUEST_PROMPT
    : Check.NO_NEED_TO_PROMPT;
}

/**
 * The library looks at the hint when the request comes in, but not after the sign-in. Who then signed in as somebody else is
 * not sent on in the hinted one's place (OpenID Connect Core 3.1.2.1).
 */
function checkHintedUser({ oidc }: KoaContextWithOIDC): boolean {
  const { id_token_hint } = oidc.params!;
  // Its signature was checked with the request.
  if (typeof id_token_hint !== 'string' || decodeJwt(id_token_hint).sub === oidc.session!.accountId) {
    return Check.NO_NEED_TO_PROMPT;
  }
  if (oidc.result?.['login']) {
    throw new errors.LoginRequired('another user signed in than id_token_hint names');
  }
  return Check.REQUEST_PROMPT;
}
