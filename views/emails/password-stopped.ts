import { type Email, type EmailContext, email, emailWords, type Occasion, occasionFacts } from './email.ts';

/** The password is over after too many wrong ones; signing in takes a new one (NIST SP 800-63B section 3.2.2). */
export function passwordStoppedEmail(context: EmailContext, props: Occasion & { failures: number }): Email {
  const { words, say } = emailWords(context);
  return email(context, {
    subject: say(words.password_stopped.subject),
    lead: say(words.password_stopped.lead, { failures: String(props.failures) }),
    facts: occasionFacts(props, context),
    advice: [say(words.password_stopped.what_to_do), say(words.password_stopped.nothing_lost)],
  });
}
