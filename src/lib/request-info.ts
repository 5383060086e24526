import type { IncomingMessage } from 'node:http';
import type { Log } from './log.ts';

/** What is known of a request before anything reads it. */
export interface RequestInfo {
  request_id: string;
  /** Of the Content-Security-Policy of this response. */
  nonce: string;
  /** The caller's address, behind trusted proxies its own. */
  ip: string;
  log: Log;
}

const infos = new WeakMap<IncomingMessage, RequestInfo>();

/** Attaches it to Node's request, which our Koa app and the provider's share. */
export function setRequestInfo(req: IncomingMessage, info: RequestInfo): void {
  infos.set(req, info);
}

/** Gives what `setRequestInfo` attached; throws for a request that did not come through our app. */
export function requestInfo(req: IncomingMessage): RequestInfo {
  const info = infos.get(req);
  if (!info) {
    throw new Error('the request did not come through the app');
  }
  return info;
}
