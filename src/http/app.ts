import Koa from 'koa';
import type { LiveProvider } from '#src/oidc/live-provider.ts';
import { makePages } from '#src/pages/pages.ts';
import type { Services } from '#src/services.ts';
import { answerErrors, refuseUnknownPaths } from './errors.ts';
import { sendFormOnAsGet } from './form-as-get.ts';
import { health } from './health.ts';
import { home } from './home.ts';
import { checkHost } from './host.ts';
import type { RequestMeter } from './metrics/requests.ts';
import { serveProvider } from './oidc.ts';
import { publicDocuments } from './public-documents.ts';
import { limitAddresses } from './rate-limits.ts';
import { identifyRequest } from './request.ts';
import { securityHeaders } from './security-headers.ts';
import { cutUnreadBodies } from './unread-body.ts';
import { refuseMalformedUrls } from './well-formed.ts';

export interface AppDependencies {
  services: Services;
  provider: LiveProvider;
  /** False from the moment that the process is asked to stop. */
  accepting: () => boolean;
  /** Only where somebody asks for metrics. */
  requests?: RequestMeter | undefined;
}

/** The whole server: every request passes these, in this order. */
export function makeApp({ services, provider, accepting, requests }: AppDependencies): Koa {
  const { config } = services;
  const app = new Koa();
  for (const middleware of [
    ...(requests ? [requests] : []),
    identifyRequest(services),
    cutUnreadBodies(),
    securityHeaders(config),
    answerErrors(),
    health({ services, provider, accepting }),
    checkHost(config),
    refuseMalformedUrls(),
    publicDocuments(provider),
    home(config),
    limitAddresses(services),
    sendFormOnAsGet(),
    serveProvider(provider),
    ...makePages({ services, provider }),
    refuseUnknownPaths(),
  ]) {
    app.use(middleware);
  }
  // Errors are answered and logged inside; what comes here is a connection that broke.
  app.on('error', (err) => services.log.debug({ err }, 'connection error'));
  return app;
}
