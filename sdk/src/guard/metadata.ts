import { isSecure } from '../verify/loopback.ts';

export interface MetadataOptions {
  /** The identifier of the resource server, as it stands in the `aud` of tokens: an https URL. */
  resource: string;
  /** Issuers whose tokens it takes. */
  authorizationServers: readonly string[];
  /** Scopes that it knows. */
  scopes?: readonly string[];
  /** Algorithms accepted in DPoP proofs; `verifier.proofAlgorithms`. */
  proofAlgorithms?: readonly string[];
}

const wellKnown = '/.well-known/oauth-protected-resource';

/** Where the metadata of a resource is (RFC 9728 section 3.1). Throws a TypeError for what is no https URL. */
export function metadataUrl(resource: string): string {
  if (!URL.canParse(resource) || !isSecure(new URL(resource)) || /[#@]/.test(resource)) {
    throw new TypeError('resource must be an https URL without fragment; http only on this machine');
  }
  const { origin, pathname, search } = new URL(resource);
  return origin + wellKnown + (pathname === '/' ? '' : pathname) + search;
}

/** The metadata document (RFC 9728 section 2) and how it is served: to anybody, cached for five minutes. */
export function makeMetadata({ resource, authorizationServers, scopes, proofAlgorithms }: MetadataOptions) {
  const { pathname } = new URL(metadataUrl(resource));
  if (!authorizationServers.every((issuer) => URL.canParse(issuer) && isSecure(new URL(issuer)))) {
    throw new TypeError('authorizationServers must be a list of issuers');
  }
  const document = {
    resource,
    authorization_servers: authorizationServers,
    scopes_supported: scopes,
    bearer_methods_supported: ['header'],
    dpop_signing_alg_values_supported: proofAlgorithms,
  };
  return {
    path: pathname,
    headers: { 'content-type': 'application/json', 'cache-control': 'public, max-age=300' },
    body: JSON.stringify(document),
  };
}
