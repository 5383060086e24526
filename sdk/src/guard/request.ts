import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { VerifyRequest } from '../verify/dpop.ts';
import { TokenError } from '../verify/errors.ts';
import { isLoopback } from '../verify/loopback.ts';

/** What of a request a guard looks at: Node's own, whatever the framework around it. */
export type GuardedRequest = Pick<IncomingMessage, 'method' | 'headers' | 'rawHeaders' | 'socket'>;

export interface Credentials {
  token: string;
  scheme: 'bearer' | 'dpop';
  proof: string | undefined;
}

const credentials = /^(bearer|dpop) +([\w.~+/-]+=*)$/i;

/**
 * The token of a request, from its one Authorization header (RFC 6750 section 2.1, RFC 9449 section 7.1). Throws
 * missing_token when there is none or it is of another scheme, and malformed_request for a token in the query, a
 * header that is not one scheme and one token, and either header twice. `target` is the request target as it came.
 */
export function readCredentials(request: GuardedRequest, target: string): Credentials {
  // Node keeps the first Authorization and drops the others, so the check is on what was sent.
  const authorizations = valuesOf(request, 'authorization');
  const proofs = valuesOf(request, 'dpop');
  // RFC 6750 section 2.3: a token in a URL ends in logs and histories. Two methods at once are refused by this too.
  if (new URLSearchParams(splitTarget(target).query).has('access_token')) {
    throw malformed('The token must come in the Authorization header, not in the query');
  }
  if (authorizations.length > 1) throw malformed('There must be one Authorization header');
  if (proofs.length > 1) throw malformed('There must be one DPoP header');
  const [header] = authorizations;
  if (header === undefined || !/^(bearer|dpop)( |$)/i.test(header)) {
    throw new TokenError('missing_token', 'An access token is required');
  }
  const [, scheme, token] = credentials.exec(header) ?? [];
  if (scheme === undefined || token === undefined) {
    throw malformed('The Authorization header must be a scheme and one token');
  }
  return { token, scheme: scheme.toLowerCase() as Credentials['scheme'], proof: proofs[0] };
}

function valuesOf({ rawHeaders }: GuardedRequest, name: string): string[] {
  return rawHeaders.flatMap((header, index) =>
    index % 2 === 0 && header.toLowerCase() === name ? [rawHeaders[index + 1]!.trim()] : [],
  );
}

/** Path and query of a request target. The absolute form (RFC 9112 section 3.2.2) gives its own; `*` none. */
export function splitTarget(target: string): { path: string | undefined; query: string } {
  const [full = ''] = target.split('#', 1);
  const query = full.indexOf('?');
  const path = query === -1 ? full : full.slice(0, query);
  const rest = query === -1 ? '' : full.slice(query + 1);
  if (path.startsWith('/')) return { path, query: rest };
  return { path: URL.canParse(path) ? new URL(path).pathname : undefined, query: rest };
}

/**
 * The request as DPoP proofs name it. The URL starts with the configured `origin`, since a proof for another server
 * would fit a Host header of the sender's choice. Without one it is known only to a client on this machine; else
 * undefined, and no proof can be checked.
 */
export function describeRequest(
  request: GuardedRequest,
  target: string,
  origin: string | undefined,
): Pick<VerifyRequest, 'method' | 'url'> | undefined {
  const base = origin ?? findLoopbackOrigin(request);
  const { path } = splitTarget(target);
  if (base === undefined || path === undefined) return undefined;
  return { method: request.method ?? '', url: base.replace(/\/$/, '') + path };
}

function findLoopbackOrigin({ headers, socket }: GuardedRequest): string | undefined {
  const { remoteAddress = '', localPort } = socket;
  if (!/^(127\.|::1$|::ffff:127\.)/.test(remoteAddress)) return undefined;
  const scheme = (socket as TLSSocket).encrypted ? 'https' : 'http';
  const base = `${scheme}://${headers.host}`;
  if (!URL.canParse(base)) return undefined;
  const { hostname, port, origin } = new URL(base);
  return isLoopback(hostname) && Number(port || (scheme === 'https' ? 443 : 80)) === localPort
    ? origin
    : undefined;
}

function malformed(message: string): TokenError {
  return new TokenError('malformed_request', message);
}
