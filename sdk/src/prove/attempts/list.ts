import { tryFunctions, tryLeakproof } from './functions.ts';
import { tryKeys } from './keys.ts';
import { tryReferences } from './references.ts';
import { tryRights } from './rights.ts';
import { tryRoles, tryStatistics } from './roles.ts';
import { tryRows } from './rows.ts';
import { tryDefaults } from './settings.ts';
import type { Trial } from './trial.ts';
import { tryVariants } from './variants.ts';
import { tryViews } from './views.ts';

/** All that is tried, in this order, on the rows of two tenants in one transaction. */
export const attempts: ((trial: Trial) => Promise<void>)[] = [
  tryRows,
  tryVariants,
  tryKeys,
  tryReferences,
  tryRights,
  tryViews,
  tryFunctions,
  tryLeakproof,
  tryRoles,
  tryDefaults,
  tryStatistics,
];
