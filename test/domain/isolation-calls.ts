/** What an attacker in tenant A holds of tenant B: every name and id of it. */
export interface OfB {
  tenant_id: string;
  slug: string;
  domain: string;
  user_id: string;
  /** Of that user, who is compromised. */
  password_hash: string;
  email: string;
  role: string;
  /** A role that A will not happen to make, too. */
  other_role: string;
  client_id: string;
  identifier: string;
  /** A device that the user is known on. */
  device_secret: string;
  device_id: string;
  mail_id: string;
  /** Of A. */
  own_user_id: string;
}

export interface Call {
  args: unknown[];
  /** What comes back; nothing said: whatever it is, it holds nothing of B. */
  gives?: unknown;
  /** The SQLSTATE of the refusal. */
  refused?: string;
}

/** An attempt at the password of B's user, as if it had been reserved in A. */
const attemptOf = ({ user_id, password_hash, device_id }: OfB) => ({
  user: { id: user_id, password_hash },
  device_id,
  turn: 1,
  last_login_at: null,
});

/** How A calls what checks passwords and knows devices with what it holds of B, for the isolation test. */
export const credentialCalls: Record<string, (b: OfB) => Call[]> = {
  'credentials/known-devices.ts forgetKnownDevices': ({ user_id, device_secret }) => [
    { args: [user_id], gives: undefined },
    { args: [user_id, { except: device_secret }], gives: undefined },
  ],
  'credentials/known-devices.ts hashDeviceSecret': ({ device_secret }) => [{ args: [device_secret] }],
  'credentials/known-devices.ts isKnownDevice': ({ email, device_secret }) => [
    { args: [{ email, device_secrets: [device_secret] }], gives: false },
  ],
  'credentials/known-devices.ts rememberDevice': ({ user_id, device_secret }) => [
    { args: [user_id, { known: [device_secret] }, new Date()], refused: '23503' },
  ],
  'credentials/lockout.ts acceptAttempt': (b) => [
    { args: [attemptOf(b), { ip: '192.0.2.1', now: new Date() }], gives: undefined },
  ],
  'credentials/lockout.ts reserveAttempt': ({ email, device_secret }) => [
    { args: [{ email, device_secrets: [device_secret] }, new Date()], gives: undefined },
  ],
  'credentials/lockout.ts returnAttempt': (b) => [
    { args: [attemptOf(b)], gives: undefined },
    { args: [{ ...attemptOf(b), device_id: null }], gives: undefined },
  ],
};
