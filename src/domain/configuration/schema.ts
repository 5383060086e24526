import { z } from 'zod';
import { findHashFlaw, findPasswordFlaw } from '#src/domain/credentials/password-hash.ts';
import { explainRefusal } from '#src/domain/credentials/password-refusal.ts';
import { sessionBounds, sessionDefaults } from '#src/domain/sessions/session-policy.ts';
import { parseDuration } from '#src/lib/duration.ts';
import { normaliseEmail } from '#src/lib/email.ts';
import { clientSchema, identifier, scope, sharedClientSchema } from './client-schema.ts';
import { findDuplicates } from './duplicates.ts';
import { durationBetween, label, mustHold } from './rules.ts';

const status = z.enum(['active', 'disabled']).optional();

const slug = z.string().check(
  mustHold((text) => {
    if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text)) {
      return 'must be of 1 to 63 lower-case letters, digits and dashes, with no dash at either end';
    }
    if (/^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/.test(text)) {
      return 'must not be a UUID, which is the form of tenant ids';
    }
    return text === 'platform'
      ? 'is the name of the platform itself: write its clients and resources at the top'
      : undefined;
  }),
);

const email = z.string().transform((text, context) => {
  const address = normaliseEmail(text);
  if (address === undefined) {
    context.addIssue({ code: 'custom', message: 'is not an e-mail address' });
    return z.NEVER;
  }
  return address;
});

const domain = z.string().transform((text, context) => {
  const address = normaliseEmail(`user@${text}`);
  if (address === undefined) {
    context.addIssue({ code: 'custom', message: 'is not a domain such as example.com' });
    return z.NEVER;
  }
  return address.slice(address.indexOf('@') + 1);
});

const resourceSchema = z.strictObject({
  identifier,
  name: label.optional(),
  scopes: z.array(scope).default([]),
});

const roleSchema = z.strictObject({ name: label, permissions: z.array(label).default([]) });

/** Only what can never be hashed; what a password must be depends on its tenant. */
function describePasswordFlaw(password: string): string | undefined {
  const flaw = findPasswordFlaw(password);
  return flaw && explainRefusal(flaw, { minimum: 1 });
}

const userSchema = z
  .strictObject({
    email,
    name: label.optional(),
    email_verified: z.boolean().optional(),
    status: z.enum(['active', 'disabled', 'compromised']).optional(),
    password: z.string().check(mustHold(describePasswordFlaw)).optional(),
    password_hash: z.string().check(mustHold(findHashFlaw)).optional(),
    roles: z.array(z.string()).optional(),
  })
  .refine((user) => user.password === undefined || user.password_hash === undefined, {
    path: ['password_hash'],
    error: 'must not be given together with password',
  });

const settingsSchema = z.strictObject({
  mfa: z.enum(['optional', 'required']).optional(),
  session: z
    .strictObject({
      idle: durationBetween(sessionBounds.idle).optional(),
      absolute: durationBetween(sessionBounds.absolute).optional(),
      limit: z.int().check(mustHold(findLimitFlaw)).optional(),
    })
    .refine(({ idle, absolute = sessionDefaults.absolute }) => !isLonger(idle, absolute), {
      path: ['idle'],
      error: `must not be longer than absolute (default ${sessionDefaults.absolute})`,
    })
    .optional(),
});

const tenantSchema = z.strictObject({
  slug,
  name: label.optional(),
  status,
  domains: z.array(domain).default([]),
  settings: settingsSchema.optional(),
  resources: z.array(resourceSchema).default([]),
  roles: z.array(roleSchema).default([]),
  users: z.array(userSchema).default([]),
  clients: z.array(clientSchema).default([]),
});

/**
 * The file that `tessera apply` takes. It says what must exist: what it does not name is left alone. Of a tenant, a user and
 * a status, what is left out keeps its value; of a client, a resource and a role it takes its default (RFC 7592 section 2.2).
 */
export const configurationSchema = z
  .strictObject({
    resources: z.array(resourceSchema).default([]),
    clients: z.array(sharedClientSchema).default([]),
    tenants: z.array(tenantSchema).default([]),
  })
  .superRefine((configuration, context) => {
    for (const { path, message } of findDuplicates(configuration)) {
      context.addIssue({ code: 'custom', path, message });
    }
  });

export type Configuration = z.output<typeof configurationSchema>;
export type ConfiguredTenant = z.output<typeof tenantSchema>;
export type ConfiguredUser = z.output<typeof userSchema>;
export type ConfiguredResource = z.output<typeof resourceSchema>;
export type ConfiguredRole = z.output<typeof roleSchema>;

function findLimitFlaw(limit: number): string | undefined {
  const { least, most } = sessionBounds.limit;
  return limit < least || limit > most ? `must be between ${least} and ${most}` : undefined;
}

function isLonger(idle: string | undefined, absolute: string): boolean {
  try {
    return idle !== undefined && parseDuration(idle) > parseDuration(absolute);
  } catch {
    // Said of the field itself.
    return false;
  }
}
