import Router from '@koa/router';
import type { Middleware } from 'koa';
import type { LiveProvider } from '#src/oidc/live-provider.ts';
import type { Services } from '#src/services.ts';
import { account } from './account.ts';
import { accountSignIn } from './account-sign-in.ts';
import { consent } from './consent.ts';
import { devMail } from './dev-mail.ts';
import { readForm } from './form-body.ts';
import { login } from './login.ts';
import { newPassword } from './new-password.ts';
import { workspace } from './workspace.ts';

export interface PageDependencies {
  services: Services;
  provider: LiveProvider;
}

/** What the paths of pages begin with. */
export const pageRoots = ['/login', '/consent', '/workspace', '/account'];

/** All hosted pages: one file each, with its get and its post. */
export function makePages(dependencies: PageDependencies): Middleware[] {
  const router = new Router();
  // Repeated fields and nested names arrive as they are, and are refused where a text is expected.
  router.use(pageRoots, readForm('16kb'));
  for (const page of [login, newPassword, consent, workspace, accountSignIn, account, devMail]) {
    page(router, dependencies);
  }
  return [router.routes() as Middleware, router.allowedMethods() as Middleware];
}
