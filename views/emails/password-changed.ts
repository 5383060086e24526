import { type Email, type EmailContext, email, emailWords, type Occasion, occasionFacts } from './email.ts';

/** The password was changed. */
export function passwordChangedEmail(context: EmailContext, props: Occasion): Email {
  const { words, say } = emailWords(context);
  return email(context, {
    subject: say(words.password_changed.subject),
    lead: say(words.password_changed.lead),
    facts: occasionFacts(props, context),
    advice: [say(words.was_you), say(words.password_changed.was_not_you)],
  });
}
