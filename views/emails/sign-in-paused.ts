import {
  type Email,
  type EmailContext,
  email,
  emailWords,
  instant,
  type Occasion,
  occasionFacts,
} from './email.ts';

/** Signing in by password pauses for this account, since too many were wrong. `until` is an ISO 8601 time. */
export function signInPausedEmail(
  context: EmailContext,
  props: Occasion & { failures: number; until: string },
): Email {
  const { words, say } = emailWords(context);
  return email(context, {
    subject: say(words.sign_in_paused.subject),
    lead: say(words.sign_in_paused.lead, { failures: String(props.failures) }),
    facts: [
      ...occasionFacts(props, context),
      { label: words.facts.until, value: instant(props.until, context.lang) },
    ],
    advice: [say(words.sign_in_paused.was_you), say(words.sign_in_paused.was_not_you)],
  });
}
