import { bodyParser } from '@koa/bodyparser';
import Router from '@koa/router';
import type { Middleware } from 'koa';
import type { LiveProvider } from '#src/oidc/live-provider.ts';
import type { Services } from '#src/services.ts';
import { consent } from './consent.ts';
import { login } from './login.ts';
import { workspace } from './workspace.ts';

export interface PageDependencies {
  services: Services;
  provider: LiveProvider;
}

/** All hosted pages: one file each, with its get and its post. */
export function makePages(dependencies: PageDependencies): Middleware[] {
  const router = new Router();
  // Repeated fields and nested names arrive as they are, and are refused where a text is expected.
  router.use(
    ['/login', '/consent', '/workspace'],
    bodyParser({ enableTypes: ['form'], formLimit: '16kb', encoding: 'utf-8' }),
  );
  for (const page of [login, consent, workspace]) {
    page(router, dependencies);
  }
  return [router.routes() as Middleware, router.allowedMethods() as Middleware];
}
