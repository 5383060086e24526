import { type Email, type EmailContext, email, emailWords, type Occasion, occasionFacts } from './email.ts';

/** So many sign-ins on other devices were ended. */
export function sessionsEndedEmail(context: EmailContext, props: Occasion & { sessions: number }): Email {
  const { words, say } = emailWords(context);
  return email(context, {
    subject: say(words.sessions_ended.subject),
    lead: say(words.sessions_ended.lead, { sessions: String(props.sessions) }),
    facts: occasionFacts(props, context),
    advice: [say(words.was_you), say(words.was_not_you)],
    action: { label: words.see_sessions, path: '/account/sessions' },
  });
}
