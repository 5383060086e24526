/** When and where something was done, as people read it. */
export interface Occasion {
  /** ISO 8601. */
  at: string;
  ip: string;
  /** The device in words, such as "Firefox on Windows". */
  device: string;
}

/** What each kind of mail tells; it is stored as JSON until it is sent. */
export interface MailData {
  /** Signed in on a device that was not seen before. */
  new_device: Occasion;
  /** Signed in after so many wrong passwords. */
  sign_in_after_failures: Occasion & { failures: number };
  /** So many wrong passwords in a row: signing in by password pauses until then (ISO 8601). */
  sign_in_paused: Occasion & { failures: number; until: string };
  /** So many wrong passwords that the password is over; the account has to be recovered. */
  password_stopped: Occasion & { failures: number };
  password_changed: Occasion;
  /** So many sign-ins elsewhere were ended. */
  sessions_ended: Occasion & { sessions: number };
}

export type MailKind = keyof MailData;

/** A mail to one address, by its kind. `user_id` is whom it is about: without that user it is not sent. */
export type MailInput = {
  [Kind in MailKind]: { to: string; user_id?: string | undefined; kind: Kind; data: MailData[Kind] };
}[MailKind];
