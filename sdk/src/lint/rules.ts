import { functionRules } from './functions.ts';
import { keyRules } from './keys.ts';
import { ownerRules } from './owners.ts';
import { policyRules } from './policies.ts';
import { rightRules } from './rights.ts';
import { roleRules } from './roles.ts';
import type { Rule } from './rule.ts';
import { serverRules } from './server.ts';
import { tableRules } from './tables.ts';

/** All rules, in order of their numbers. */
export const rules: Rule[] = [
  ...roleRules,
  ...tableRules,
  ...ownerRules,
  ...policyRules,
  ...keyRules,
  ...rightRules,
  ...functionRules,
  ...serverRules,
].sort((a, b) => (a.id.slice(0, 4) < b.id.slice(0, 4) ? -1 : a.id.slice(0, 4) > b.id.slice(0, 4) ? 1 : 0));
