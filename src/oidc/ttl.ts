import { sessionPolicy } from '#src/domain/sessions/session-policy.ts';
import { requestStore } from './request-store.ts';

/** Access tokens live so long, in seconds: a JWT cannot be taken back. */
export const accessTokenSeconds = 300;

const refreshIdleSeconds = 14 * 24 * 3600;
const refreshAbsoluteSeconds = 30 * 24 * 3600;
/** A grant outlives every refresh token of it. */
export const grantSeconds = 2 * refreshAbsoluteSeconds;

const nowSeconds = () => Math.floor(Date.now() / 1000);

/** Every lifetime, in seconds. */
export const ttl = {
  AccessToken: accessTokenSeconds,
  AuthorizationCode: 60,
  ClientCredentials: accessTokenSeconds,
  Grant: grantSeconds,
  IdToken: 300,
  Interaction: 900,
  /** Slides while it is used, but never past the absolute end counted from the first issue. */
  RefreshToken(_ctx: unknown, token: { iiat?: number }): number {
    const left =
      token.iiat === undefined ? refreshAbsoluteSeconds : token.iiat + refreshAbsoluteSeconds - nowSeconds();
    return Math.max(1, Math.min(refreshIdleSeconds, left));
  },
  /** Slides with its use, up to the absolute end (NIST SP 800-63B-4 section 5.2). The library would let it slide for ever. */
  Session(_ctx: unknown, session: { loginTs?: number }): number {
    const { idle, absolute } = sessionPolicy(requestStore().tenant?.settings ?? {});
    const left = session.loginTs === undefined ? absolute : session.loginTs + absolute - nowSeconds();
    return Math.max(1, Math.min(idle, left));
  },
};
