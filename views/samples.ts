import type { Email, EmailContext } from '#views/emails/email.ts';
import { newDeviceEmail } from '#views/emails/new-device.ts';
import { passwordChangedEmail } from '#views/emails/password-changed.ts';
import { passwordStoppedEmail } from '#views/emails/password-stopped.ts';
import { sessionsEndedEmail } from '#views/emails/sessions-ended.ts';
import { signInAfterFailuresEmail } from '#views/emails/sign-in-after-failures.ts';
import { signInPausedEmail } from '#views/emails/sign-in-paused.ts';
import type { PageContext } from '#views/layout.ts';
import { accountChoicePage } from '#views/pages/account-choice.ts';
import { type ConsentProps, consentPage } from '#views/pages/consent.ts';
import { devMailboxPage, devMailPage } from '#views/pages/dev-mail.ts';
import { errorPage } from '#views/pages/error.ts';
import { homePage } from '#views/pages/home.ts';
import { loggedOutPage } from '#views/pages/logged-out.ts';
import { type LoginProps, loginPage } from '#views/pages/login.ts';
import { logoutPage } from '#views/pages/logout.ts';
import { logoutChoicePage } from '#views/pages/logout-choice.ts';
import { type NewPasswordProps, newPasswordPage } from '#views/pages/new-password.ts';
import { type SessionProps, type SessionsProps, sessionsPage } from '#views/pages/sessions.ts';
import { type TooManyRequestsProps, tooManyRequestsPage } from '#views/pages/too-many-requests.ts';
import { workspacePage } from '#views/pages/workspace.ts';

/** `change` is given page and props before they are rendered, so that a test can spoil every string. */
export type Sample = { name: string; render: (change?: <T>(value: T) => T) => string };

const product: PageContext = {
  nonce: 'bm9uY2UtZm9yLXNhbXBsZXM',
  lang: 'en',
  request_id: '01JD9Q3M7Z4T8K2W5XB6Y0RHCE',
  product: 'Tessera',
};
const acme: PageContext = { ...product, tenant: { name: 'Acme Inc', slug: 'acme' } };
const globex: PageContext = { ...product, tenant: { name: 'Globex', slug: 'globex' } };
const longTenant: PageContext = {
  ...product,
  tenant: {
    name: 'Donaudampfschifffahrtsgesellschaft und Söhne, Betriebsamt für Hafenanlagen',
    slug: 'donau',
  },
};
const arabicTenant: PageContext = { ...product, tenant: { name: 'شركة الفسيفساء', slug: 'fusayfisa' } };

const orders = { client_name: 'Orders', client_uri: 'https://orders.acme.test/' };
const long = {
  client_name: `Quarterly${'Reconciliation'.repeat(12)}`,
  client_uri: `https://${'sub.'.repeat(30)}acme.test/`,
};
const login: LoginProps = {
  action: '/login/Zk3p0',
  csrf: 'czRtcGxl',
  client: orders,
  cancel_action: '/login/Zk3p0/cancel',
  switch_workspace_href: '/workspace?query=c2FtcGxl',
};
const newPassword: NewPasswordProps = {
  action: '/login/Zk3p0/password',
  check_action: '/login/Zk3p0/password/check',
  cancel_action: '/login/Zk3p0/cancel',
  csrf: 'czRtcGxl',
  client: orders,
  minimum: 15,
};
const consent: ConsentProps = {
  action: '/consent/Zk3p0',
  csrf: 'czRtcGxl',
  client: orders,
  user: { email: 'alice@acme.test', name: 'Alice Example' },
  scopes: [{ name: 'openid' }, { name: 'profile' }, { name: 'email' }],
  resources: [
    {
      identifier: 'https://api.example.test',
      name: 'Example API',
      scopes: [{ name: 'read', description: 'Read your orders' }, { name: 'write' }],
    },
  ],
  offline: true,
  lifetime: '14 days',
};
const workspace = { action: '/workspace', query: 'client_id=spa&scope=openid' };
const paused: TooManyRequestsProps = {
  limited: 'account',
  wait_seconds: 870,
  back_href: '/login/Zk3p0',
};
const logout = { form_action: '/session/end/confirm', xsrf: 'eHNyZg' };

const at = Date.UTC(2026, 10, 24, 8, 25);
const hour = 3_600_000;
/** A session that signed in at eight in the morning and was used so many minutes ago. */
const session = (id: string, minutes: number): SessionProps => ({
  current: false,
  device: { browser: 'Safari', os: 'iOS', kind: 'phone' },
  ip: '198.51.100.23',
  methods: ['pwd'],
  signed_in_at: at - 2 * hour,
  active_at: at - minutes * 60_000,
  idle_until: at + hour / 2 - minutes * 60_000,
  until: at + 6 * hour,
  end: { action: `/account/sessions/${id}/end?tenant=acme`, csrf: `end-${id}` },
  rename: { action: `/account/sessions/${id}/label?tenant=acme`, csrf: `label-${id}` },
});
const sessions: SessionsProps = {
  user: { email: 'alice@acme.test' },
  sessions: [
    {
      ...session('a1', 0),
      current: true,
      device: { browser: 'Chrome', os: 'Windows', kind: 'desktop' },
      ip: '203.0.113.7',
    },
    { ...session('a2', 12), label: 'Phone' },
    {
      ...session('a3', 25),
      device: { browser: 'Firefox', os: 'Linux', kind: 'desktop' },
      ip: '2001:db8::17',
    },
  ],
  end_others: { action: '/account/sessions/end-others?tenant=acme', csrf: 'others' },
  sign_out_href: '/logout?tenant=acme',
};

/** Every page in the states that people meet: usual, long, refused, and with all that may be missing missing. */
export const samples: Sample[] = [
  sample('login', loginPage, acme, login),
  sample('login of another workspace', loginPage, globex, login),
  sample('login without workspace or ways out', loginPage, product, {
    action: '/login/1',
    csrf: 'x',
    client: { client_name: '' },
  }),
  sample('login with long names', loginPage, longTenant, {
    ...login,
    client: long,
    email: `${'alice'.repeat(40)}@acme.test`,
  }),
  sample('login from right to left', loginPage, arabicTenant, {
    ...login,
    client: { client_name: 'הזמנות' },
  }),
  sample('login refused', loginPage, acme, {
    ...login,
    email: 'alice@acme.test',
    error: 'wrong_credentials',
  }),
  sample('login expired', loginPage, acme, { ...login, error: 'expired' }),
  sample('login with nothing typed', loginPage, acme, { ...login, error: 'missing' }),
  sample('login without a password', loginPage, acme, {
    ...login,
    email: 'alice@acme.test',
    error: 'missing',
  }),
  sample('login too often', loginPage, acme, { ...login, email: 'alice@acme.test', error: 'busy' }),
  sample('login of an imported account with too long a password', loginPage, acme, {
    ...login,
    email: 'alice@acme.test',
    error: 'too_long_for_import',
  }),
  sample('new password', newPasswordPage, acme, { ...newPassword, email: 'alice@acme.test' }),
  sample('new password of nobody known', newPasswordPage, product, {
    ...newPassword,
    client: { client_name: '' },
    minimum: 8,
  }),
  sample('new password with long names', newPasswordPage, longTenant, {
    ...newPassword,
    client: long,
    email: `${'alice'.repeat(40)}@acme.test`,
  }),
  sample('new password refused', newPasswordPage, acme, {
    ...newPassword,
    email: 'alice@acme.test',
    refusal: { reason: 'context', advice: ['no_names', 'passphrase'] },
  }),
  sample('new password with a wrong current one', newPasswordPage, acme, {
    ...newPassword,
    email: 'alice@acme.test',
    error: 'wrong_credentials',
  }),
  sample('new password with nothing typed', newPasswordPage, acme, { ...newPassword, error: 'missing' }),
  sample('consent', consentPage, acme, consent),
  sample('consent with little asked', consentPage, acme, {
    ...consent,
    client: { client_name: 'Orders' },
    user: { email: 'alice@acme.test' },
    scopes: [],
    resources: [],
    offline: false,
  }),
  sample('consent with long names', consentPage, longTenant, {
    ...consent,
    client: long,
    user: { email: `${'alice'.repeat(40)}@acme.test`, name: 'Alice '.repeat(30) },
    scopes: [...consent.scopes, { name: 'constructor' }, { name: `urn:scope:${'x'.repeat(200)}` }],
    resources: Array.from({ length: 4 }, (_, i) => ({
      identifier: `https://api.example.test/${'path/'.repeat(i * 20)}`,
      name: 'Resource '.repeat(i * 8),
      scopes: Array.from({ length: 4 }, (_, k) => ({
        name: `scope:${k}`,
        description: 'Words about it '.repeat(k * 6),
      })),
    })),
  }),
  sample('logout choice', logoutChoicePage, product, {
    choices: [
      { name: 'Acme Inc', href: '/logout?tenant=acme' },
      { name: 'Globex', href: '/logout?tenant=globex' },
    ],
  }),
  sample('workspace', workspacePage, product, { ...workspace, client: orders }),
  sample('workspace without client', workspacePage, product, workspace),
  sample('workspace unknown', workspacePage, product, {
    ...workspace,
    client: long,
    value: 'acmee',
    error: 'unknown_workspace',
  }),
  sample('workspace with nothing typed', workspacePage, product, { ...workspace, error: 'missing' }),
  sample('logout', logoutPage, acme, { ...logout, client: orders, user: { email: 'alice@acme.test' } }),
  sample('logout of nobody known', logoutPage, product, logout),
  sample('account choice', accountChoicePage, product, {
    choices: [
      { name: 'Acme Inc', href: '/account/sessions?tenant=acme' },
      { name: 'Globex', href: '/account/sessions?tenant=globex' },
    ],
  }),
  sample('sessions', sessionsPage, acme, sessions),
  sample('sessions of one device', sessionsPage, acme, {
    ...sessions,
    sessions: sessions.sessions.slice(0, 1),
    done: 'ended_others',
  }),
  sample('sessions with long and hostile names', sessionsPage, longTenant, {
    ...sessions,
    user: { email: `${'alice'.repeat(40)}@acme.test` },
    sessions: [
      { ...sessions.sessions[0]!, label: `${'Workstation'.repeat(12)}<script>` },
      {
        ...session('b2', 30),
        device: { browser: 'Br<o>wser'.repeat(30), os: '"&\u202eOS', kind: 'unknown' },
        label: '"><svg/onload=1>',
        ip: '2001:db8:1234:5678:9abc:def0:1234:5678',
        methods: ['pwd', 'constructor', 'x'.repeat(200)],
      },
      { ...session('b3', 90), device: { kind: 'unknown' }, methods: [] },
      { ...session('b4', 90), device: { os: 'Linux', kind: 'desktop' }, idle_until: at + 8 * hour },
    ],
    done: 'named',
  }),
  sample('sessions from right to left', sessionsPage, arabicTenant, {
    ...sessions,
    sessions: sessions.sessions.map((one) => ({ ...one, label: 'حاسوب المكتب' })),
  }),
  sample('logged-out', loggedOutPage, acme, { client: orders }),
  sample('logged-out without client', loggedOutPage, product, {}),
  sample('logged-out of a client with a bad address', loggedOutPage, product, {
    client: { client_name: 'Orders', client_uri: 'javascript:alert(1)' },
  }),
  sample('error', errorPage, product, {
    status: 400,
    title: 'This sign-in link does not work',
    message: 'The application sent a request that this server cannot accept. Go back to it and start again.',
    error: 'invalid_request',
    return_href: 'https://orders.acme.test/',
  }),
  sample('error without details', errorPage, product, {
    status: 500,
    title: 'Something went wrong',
    message: 'The fault is ours. Please try again in a moment.',
  }),
  sample('too many requests for an account', tooManyRequestsPage, acme, paused),
  sample('too many requests with long names', tooManyRequestsPage, longTenant, {
    ...paused,
    wait_seconds: 60,
    back_href: `/login/${'x'.repeat(200)}`,
  }),
  sample('too many requests of a network', tooManyRequestsPage, product, {
    limited: 'network',
    wait_seconds: 12,
  }),
  sample('mailbox', devMailboxPage, product, {
    mails: [
      {
        href: '/dev/mail/20261124T084512345Z-6b0f7a56-64a4-4bd8-9d6b-1c8a2b6f6a11',
        subject: 'New sign-in to Acme Inc',
        to: 'alice@acme.test',
        date: '2026-11-24T08:45:12.345Z',
      },
      {
        href: '/dev/mail/20261124T084501000Z-0c3d5a1e-2f5c-4c39-8a8e-5b1f3a7f0e22',
        subject: `Your password for ${'Donaudampfschifffahrtsgesellschaft'.repeat(3)} was changed`,
        to: `${'alice'.repeat(12)}@acme.test`,
        date: '2026-11-24T08:45:01.000Z',
      },
    ],
  }),
  sample('mailbox with nothing in it', devMailboxPage, product, { mails: [] }),
  sample('mail', devMailPage, product, {
    back_href: '/dev/mail',
    html_href: '/dev/mail/1/html',
    source_href: '/dev/mail/1/source',
    from: 'Tessera <no-reply@localhost>',
    to: 'alice@acme.test',
    date: '2026-11-24T08:45:12.345Z',
    subject: 'New sign-in to Acme Inc',
    body: `Somebody signed in to your account at Acme Inc.

When: November 24, 2026 at 8:45 AM UTC

https://id.example.test/recover?token=${'x'.repeat(120)}
`,
  }),
  sample('home', homePage, product, { issuer: 'http://localhost:3000', demo: true }),
  sample('home without demo', homePage, product, { issuer: 'https://id.example.test' }),
];

/** As `Sample`, of an e-mail. */
export type EmailSample = { name: string; render: (change?: <T>(value: T) => T) => Email };

const toAcme: EmailContext = {
  lang: 'en',
  product: 'Tessera',
  workspace: 'Acme Inc',
  issuer: 'https://id.example.test',
};
const toDonau: EmailContext = { ...toAcme, workspace: longTenant.tenant!.name };
const occasion = { at: '2026-11-24T08:45:12.345Z', ip: '203.0.113.7', device: 'Firefox on Windows' };

/** Every e-mail. */
export const emailSamples: EmailSample[] = [
  emailSample('new device', newDeviceEmail, toAcme, occasion),
  emailSample('new device in a workspace with a long name', newDeviceEmail, toDonau, {
    ...occasion,
    ip: '2001:db8:85a3:8d3:1319:8a2e:370:7348',
  }),
  emailSample(
    'new device of nobody known',
    newDeviceEmail,
    { ...toAcme, workspace: '' },
    { at: '', ip: '', device: '' },
  ),
  emailSample('sign-in after failures', signInAfterFailuresEmail, toAcme, { ...occasion, failures: 7 }),
  emailSample('sign-in paused', signInPausedEmail, toAcme, {
    ...occasion,
    failures: 10,
    until: '2026-11-24T09:00:00.000Z',
  }),
  emailSample('password stopped', passwordStoppedEmail, toAcme, { ...occasion, failures: 100 }),
  emailSample('password changed', passwordChangedEmail, toAcme, occasion),
  emailSample('sessions ended', sessionsEndedEmail, toAcme, { ...occasion, sessions: 3 }),
];

function emailSample<P>(
  name: string,
  view: (context: EmailContext, props: P) => Email,
  context: EmailContext,
  props: P,
): EmailSample {
  return { name, render: (change = (value) => value) => view(change(context), change(props)) };
}

function sample<P>(
  name: string,
  view: (page: PageContext, props: P) => string,
  page: PageContext,
  props: P,
): Sample {
  return { name, render: (change = (value) => value) => view(change(page), change(props)) };
}
