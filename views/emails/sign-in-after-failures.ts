import { type Email, type EmailContext, email, emailWords, type Occasion, occasionFacts } from './email.ts';

/** Somebody signed in after several wrong passwords (ASVS 6.3.5). */
export function signInAfterFailuresEmail(
  context: EmailContext,
  props: Occasion & { failures: number },
): Email {
  const { words, say } = emailWords(context);
  return email(context, {
    subject: say(words.sign_in_after_failures.subject),
    lead: say(words.sign_in_after_failures.lead, { failures: String(props.failures) }),
    facts: occasionFacts(props, context),
    advice: [say(words.was_you), say(words.was_not_you)],
    action: { label: words.see_sessions, path: '/account/sessions' },
  });
}
