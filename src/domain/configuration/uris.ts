const privateUseScheme = /^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:$/;
const loopbackHosts = ['localhost', '127.0.0.1', '[::1]'];

/**
 * Says why a browser is not sent to this address, or undefined when it may be: an absolute URI without fragment, user or
 * wildcard, with https, with http on the loopback interface, or with a private-use scheme that holds a dot (RFC 6749 section
 * 3.1.2, RFC 8252 sections 7.1 and 7.3). So never `javascript:`, `data:` and the like.
 */
export function findRedirectUriFlaw(uri: string): string | undefined {
  const flaw = findUriFlaw(uri);
  if (flaw !== undefined) {
    return flaw;
  }
  const url = new URL(uri);
  if (privateUseScheme.test(url.protocol)) {
    return undefined;
  }
  const web = findWebUriFlaw(uri);
  return web && `${web}, or a scheme of its own with a dot, such as com.example.app:/callback`;
}

/** Says why this is no address to fetch from or link to: https, or http on the loopback interface, without user or fragment. */
export function findWebUriFlaw(uri: string): string | undefined {
  const flaw = findUriFlaw(uri);
  if (flaw !== undefined) {
    return flaw;
  }
  const { protocol, hostname, username, password } = new URL(uri);
  if (username || password) {
    return 'must not name a user';
  }
  if (hostname.includes('*')) {
    return 'must not hold a wildcard: list each address';
  }
  return protocol === 'https:' || (protocol === 'http:' && loopbackHosts.includes(hostname))
    ? undefined
    : 'must start with https:// (or http:// on localhost, 127.0.0.1 or [::1])';
}

/** Says why this is no absolute URI without a fragment, the form of a resource identifier (RFC 8707 section 2). */
export function findUriFlaw(uri: string): string | undefined {
  // The parser drops blanks and line breaks and turns \ into /, and another reader might not.
  if (uri.length > 2_000 || /[\s\\\p{Cc}]/u.test(uri) || !URL.canParse(uri)) {
    return 'must be an absolute URI';
  }
  return uri.includes('#') ? 'must not have a fragment' : undefined;
}
