/** Where the library answers, in its words. */
export const routes = {
  authorization: '/auth',
  token: '/token',
  jwks: '/jwks',
  pushed_authorization_request: '/par',
  userinfo: '/userinfo',
  introspection: '/introspect',
  revocation: '/revoke',
  end_session: '/logout',
};

/** Discovery (OpenID Connect Discovery 1.0 section 4, RFC 8414 section 3) and the keys. */
export const documentPaths = new Set([
  routes.jwks,
  '/.well-known/openid-configuration',
  '/.well-known/oauth-authorization-server',
]);

const paths = new Set([
  ...Object.values(routes),
  ...documentPaths,
  `${routes.end_session}/confirm`,
  `${routes.end_session}/success`,
]);
const resume = new RegExp(`^${routes.authorization}/[\\w-]+$`);

/**
 * Whether the path is one of the library's as we write it. The library also takes `/TOKEN` and `/token/` for `/token`, but our
 * rules go by the path: which tenant, which rows to lock, which address a client may call from.
 */
export function isProviderPath(path: string): boolean {
  return paths.has(path) || resume.test(path);
}
