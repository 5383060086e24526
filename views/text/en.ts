/** The English words of the hosted pages. `{name}` marks where a value goes. */
export const en = {
  lang: 'en',
  dir: 'ltr',
  footer: 'Sign-in by Tessera',
  unnamed_client: 'the application',
  error_prefix: 'Error:',

  login: {
    title: 'Sign in',
    title_workspace: 'Sign in to {workspace}',
    lead: 'to continue to {client}',
    email: 'Email',
    password: 'Password',
    show: 'Show',
    show_label: 'Show password',
    hide: 'Hide',
    hide_label: 'Hide password',
    submit: 'Sign in',
    cancel: 'Cancel and return to {client}',
    switch_workspace: 'Use a different workspace',
    errors: {
      wrong_credentials:
        'That email and password do not go together. Check both and try again. After several wrong passwords, sign-in to an account pauses for a while, but still works from a device that was used for it before.',
      expired: 'This page was open for too long. Please sign in again.',
      missing: 'Enter your email and your password.',
      missing_password: 'Enter your password.',
      busy: 'There have been too many attempts. Wait a minute, then try again.',
      too_long_for_import:
        'Your account came from another system, which kept only the beginning of a password as long as yours. Ask the people who run this workspace to reset it.',
    },
  },

  password: {
    title: 'Choose a new password',
    lead: 'Others may know the one that you have, so it no longer signs you in.',
    current: 'Current password',
    new: 'New password',
    hint: 'At least {minimum} characters. A few words that do not belong together are easy to remember.',
    strength: 'Strength of the new password',
    submit: 'Continue',
    missing: 'Fill in all three fields.',
    /** By what the server says of a password that it does not take. */
    reasons: {
      malformed: 'This password holds half of a character. Type it again.',
      too_short: 'This password has fewer than {minimum} characters.',
      too_long: 'This password has more than 256 characters.',
      common:
        'This password is known from a breach of another site, so it is among the first that are tried.',
      context: 'This password is made of names and words that anybody would try first.',
      guessable: 'This password is easy to guess.',
      unchanged: 'This is the password that you already have. Choose another one.',
    },
    advice: {
      passphrase: 'Take four or more words that do not belong together.',
      no_names: 'Leave out your name, your email and the name of the workspace.',
      no_common_words: 'Leave out words and names that many use.',
      no_keyboard: 'Leave out rows of keys, such as qwerty.',
      no_repeats: 'Leave out repetitions.',
      no_sequences: 'Leave out sequences, such as abc or 6543.',
      no_dates: 'Leave out dates and years.',
    },
    /** By its score. */
    good: { 2: 'Good enough.', 3: 'Hard to guess.', 4: 'Very hard to guess.' },
  },

  consent: {
    title: 'Allow {client} to use your account?',
    site: 'Its website is {host}',
    signed_in_as: 'Signed in as',
    asks: '{client} will be able to:',
    asks_nothing: '{client} asks only to know that you signed in.',
    lifetime: 'This access lasts for {lifetime}.',
    grant_lifetime: '60 days, or until you sign out',
    allow: 'Allow',
    deny: 'Deny',
  },

  workspace: {
    title: 'Find your workspace',
    lead: 'to continue to {client}',
    label: 'Email',
    hint: 'or your workspace name',
    submit: 'Continue',
    errors: {
      unknown_workspace: 'No workspace goes with that. Check the spelling, or ask whoever invited you.',
      missing: 'Enter your email, or the name of your workspace.',
    },
  },

  logout: {
    title: 'Sign out?',
    title_workspace: 'Sign out of {workspace}?',
    lead: 'You are signed in as {email}.',
    lead_client: '{client} asks to sign you out here too.',
    submit: 'Sign out',
    stay: 'Stay signed in',
  },

  logout_choice: {
    title: 'Which workspace?',
    lead: 'You are signed in to more than one. Choose the one to sign out of.',
  },

  account_choice: {
    title: 'Which workspace?',
    lead: 'You are signed in to more than one. Choose the one whose account you want to see.',
    sign_out: 'Sign out',
  },

  signed_in: {
    as: 'Signed in as',
    sign_out: 'Sign out',
  },

  sessions: {
    title: 'Where you are signed in',
    lead: 'These devices are signed in to your account at {workspace}.',
    this_device: 'This device',
    others: 'Other devices',
    no_others: 'You are signed in on this device only.',
    not_yours: 'If one of them is not yours, sign it out and tell the people who run this workspace.',
    browser_on_os: '{browser} on {os}',
    some_browser_on_os: 'A browser on {os}',
    unknown_device: 'Unknown device',
    active: 'Last active',
    active_now: 'Now',
    signed_in: 'Signed in',
    how: 'Signed in with',
    address: 'Address',
    idle_until: 'Ends if it is not used',
    until: 'Ends at the latest',
    end: 'Sign out',
    end_asks: '{device} has to sign in again. What was open there may be lost.',
    end_submit: 'Sign out this device',
    end_others: 'Sign out everywhere else',
    end_others_asks: 'All {count} other devices have to sign in again. You stay signed in here.',
    end_others_asks_one: 'The other device has to sign in again. You stay signed in here.',
    end_others_submit: 'Sign out all other devices',
    name: 'Name',
    rename: 'Rename',
    label: 'Name of this device',
    label_hint: 'Only you see it. Leave it empty to go by the browser again.',
    label_submit: 'Save name',
    done: {
      ended_one: 'The device is signed out.',
      ended_others: 'You are signed out everywhere else.',
      named: 'The name is saved.',
    },
    /** By the values of RFC 8176. */
    methods: {
      pwd: 'Password',
      otp: 'One-time code',
      hwk: 'Passkey or security key',
      swk: 'Passkey',
      sms: 'Text message',
      mfa: 'Two steps',
    },
  },

  logged_out: {
    title: 'You are signed out',
    lead: 'It is safe to close this window.',
    return: 'Return to {client}',
  },

  error: {
    code: 'Code',
    reference: 'Reference',
    help: 'If you ask for help, give this reference.',
    return: 'Go back',
    /** By the code of an OAuth error or of ours; any other code takes the words of its class. */
    reasons: {
      invalid_request: {
        title: 'This request is not right',
        message:
          'The application sent something that cannot be used. Go back to it and try again; if it happens again, tell the people who run it.',
      },
      invalid_client: {
        title: 'This application is not known here',
        message: 'It is not registered, or it was switched off. Ask the people who run it.',
      },
      invalid_redirect_uri: {
        title: 'This application asked to return somewhere else',
        message: 'The address that it gave is not registered for it, so nothing was sent there.',
      },
      access_denied: {
        title: 'Access was not granted',
        message:
          'Nothing was shared with the application. You can close this window or go back and try again.',
      },
      session_not_found: {
        title: 'This page is no longer valid',
        message:
          'The sign-in was finished already, took too long, or was started in another browser. Go back to the application and start again.',
      },
      form_expired: {
        title: 'This form is no longer valid',
        message:
          'It was open for too long, or did not come from this site. Nothing was changed. Go back and try again.',
      },
      not_found: {
        title: 'There is no such page',
        message: 'Check the address, or go back to the application that you came from.',
      },
      invalid_host: {
        title: 'This address is not the right one',
        message:
          'The server answers only under its own name. Whoever runs it can correct the ISSUER setting or the proxy.',
      },
      temporarily_unavailable: {
        title: 'One moment, please',
        message: 'The server cannot answer right now. Nothing was lost; try again in a few seconds.',
      },
      server_error: {
        title: 'Something went wrong here',
        message: 'This is our fault, not yours, and it has been noted. Try again in a moment.',
      },
    },
  },

  too_many_requests: {
    account: {
      title: 'Sign-in is paused',
      lead: 'Several attempts to sign in to this account from here did not work, so it takes no more for a while. This protects the account against guessing.',
      advice:
        'Waiting helps; trying again sooner does not. A device that has signed in to the account before may still get in.',
    },
    network: {
      title: 'Too many requests',
      lead: 'More came from this network than we can take at once. Others may share it with you.',
      advice: 'Waiting helps. Nothing was changed, and nothing is wrong with your account.',
    },
    wait: 'Try again in {time}.',
    over: 'You can try again now.',
    units: { minutes: '{minutes} minutes', minute: '1 minute', soon: 'less than a minute' },
    back: 'Back to sign-in',
  },

  home: {
    title: 'This is a sign-in server',
    lead: 'Applications send people here to sign in. Open the application that you want to use, and it brings you here when it needs to know who you are.',
    issuer: 'Issuer',
    discovery: 'Discovery document',
    demo_title: 'Demo',
    demo: 'The demo workspaces {first} and {second} are ready. Their people, clients and secrets are in {file}.',
  },

  dev_mail: {
    title: 'Mail',
    lead: 'What this development server would have sent. Set {variable} to send it.',
    none: 'Nothing yet.',
    no_subject: 'Without a subject',
    to: 'To',
    from: 'From',
    date: 'Sent',
    back: 'All mail',
    html: 'Show as HTML',
    source: 'Show the source',
  },

  /** E-mails. `{workspace}` may stand in every sentence. */
  emails: {
    facts: { at: 'When', device: 'Device', ip: 'IP address', until: 'Paused until' },
    was_you: 'If this was you, there is nothing to do.',
    was_not_you:
      'If it was not you, somebody else may know your password: end the sign-ins that you do not know, choose a new password, and tell the people who run {workspace}.',
    see_sessions: 'See where you are signed in',
    footer:
      'You get this because it concerns the safety of your account at {workspace}. Nobody will ever ask you for your password by email.',
    new_device: {
      subject: 'New sign-in to {workspace}',
      lead: 'Somebody signed in to your account at {workspace} on a device that we had not seen before.',
    },
    sign_in_after_failures: {
      subject: 'Sign-in to {workspace} after wrong passwords',
      lead: 'Somebody signed in to your account at {workspace} after {failures} wrong passwords.',
    },
    sign_in_paused: {
      subject: 'Signing in to {workspace} is paused',
      lead: 'Your account at {workspace} was given {failures} wrong passwords in a row, so no password is taken for a while. Where you are signed in already you stay so.',
      was_you: 'If this was you, wait until then and try again.',
      was_not_you:
        'If it was not you, somebody is trying passwords. Your own was not among them; make sure that it is long and used nowhere else.',
    },
    password_stopped: {
      subject: 'Your password for {workspace} no longer works',
      lead: 'Your account at {workspace} was given {failures} wrong passwords. To keep it safe, its password was switched off.',
      what_to_do: 'To sign in again you need a new password: ask the people who run {workspace}.',
      nothing_lost: 'Nobody got in this way, and nothing in your account was changed.',
    },
    password_changed: {
      subject: 'Your password for {workspace} was changed',
      lead: 'The password of your account at {workspace} was changed.',
      was_not_you:
        'If it was not you, tell the people who run {workspace} at once: somebody else has your account.',
    },
    sessions_ended: {
      subject: 'You were signed out of {workspace} elsewhere',
      lead: 'Sign-ins of your account at {workspace} that were ended: {sessions}.',
    },
  },

  scopes: {
    openid: 'Know who you are when you sign in',
    profile: 'See your name and profile',
    email: 'See your email address',
    offline_access: 'Keep this access while you are away',
  },
};
