import { type Configuration, errors } from 'oidc-provider';

const assertionTypes = new Set([undefined, 'JWT', 'client-authentication+jwt']);
const maxAssertionSeconds = 300;
/** How far a client's clock may be ahead, as everywhere (`clockTolerance`). */
const skewSeconds = 15;

/** How clients prove themselves at the token, pushed request, introspection and revocation endpoints. */
export const clientAuth = {
  // Not client_secret_jwt: it would need the secret itself at rest.
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
  /** RFC 10070: the audience is the issuer as one string, so that an assertion for another server is of no use here. */
  async assertJwtClientAuthClaimsAndHeader(ctx, claims, header) {
    const refuse = (detail: string): never => {
      throw new errors.InvalidClientAuth(detail);
    };
    if (claims.aud !== ctx.oidc.issuer) {
      refuse('aud of the client assertion must be the issuer, as one string');
    }
    if (!assertionTypes.has(header['typ'] as string | undefined)) {
      refuse('typ of the client assertion must be client-authentication+jwt or JWT');
    }
    // Counted from now at the latest: with an iat in the future it would outlive the mark of its use.
    const now = Math.floor(Date.now() / 1000);
    const issued = typeof claims.iat === 'number' ? Math.min(claims.iat, now) : now;
    if (typeof claims.exp !== 'number' || claims.exp - issued > maxAssertionSeconds + skewSeconds) {
      refuse('the client assertion may live for at most five minutes');
    }
    if (claims.sub !== claims.iss) {
      refuse('sub and iss of the client assertion must be the client_id');
    }
  },
} satisfies Partial<Configuration>;
