import { z } from 'zod';
import { formatPath } from '#src/domain/configuration/errors.ts';
import { label, mustHold } from '#src/domain/configuration/rules.ts';
import { findHashFlaw } from '#src/domain/credentials/password-hash.ts';
import { normaliseEmail } from '#src/lib/email.ts';

const text = z.string({ error: ({ input }) => (input === undefined ? 'is missing' : 'must be text') });

const schema = z.strictObject({
  email: text.transform((address, context) => {
    const email = normaliseEmail(address);
    if (email === undefined) {
      context.addIssue({ code: 'custom', message: 'is not an e-mail address' });
      return z.NEVER;
    }
    return email;
  }),
  name: label.optional(),
  email_verified: z.boolean({ error: 'must be true or false' }).optional(),
  password_hash: text.check(mustHold(findHashFlaw)).optional(),
  roles: z.array(label, { error: 'must be a list of names' }).optional(),
  status: z
    .enum(['active', 'disabled', 'compromised', 'invited'], {
      error: ({ input }) =>
        input === 'erased'
          ? 'erased is not imported: leave the line out, and erase the user with tessera apply'
          : 'must be active, disabled, compromised or invited',
    })
    .optional(),
});

/** A user as a line wants it: what it leaves out keeps its value, or takes its default when the user is new. */
export type ImportedUser = z.output<typeof schema>;

export type Judgement =
  | { user: ImportedUser }
  /** The address where it is one; the reason repeats no value of the line. */
  | { email: string | undefined; reason: string };

/** Checks the fields of a line, and that its roles are among these. The address comes back normalised. */
export function judgeFields(fields: Record<string, unknown>, roles: ReadonlySet<string>): Judgement {
  const parsed = schema.safeParse(fields);
  if (!parsed.success) {
    const { email } = fields;
    return {
      email: typeof email === 'string' ? normaliseEmail(email) : undefined,
      reason: parsed.error.issues.flatMap(describeIssue).join('; '),
    };
  }
  const user = parsed.data;
  if (user.status === 'invited' && user.password_hash !== undefined) {
    return { email: user.email, reason: 'status: must not be invited together with password_hash' };
  }
  const missing = user.roles?.filter((role) => !roles.has(role)) ?? [];
  return missing.length > 0
    ? { email: user.email, reason: `roles: the tenant has no ${missing.join(', ')}` }
    : { user };
}

function describeIssue(issue: z.core.$ZodIssue): string[] {
  return issue.code === 'unrecognized_keys'
    ? issue.keys.map(describeUnknown)
    : [`${formatPath(issue.path)}: ${issue.message}`];
}

function describeUnknown(name: string): string {
  if (name === 'password') {
    return 'password: plain passwords are not imported, only password_hash';
  }
  // What cannot be a name may be a value in the place of one.
  return /^\w{1,64}$/.test(name)
    ? `${name}: is not a known field`
    : 'a field is not known, and its name is none';
}
