import { type Email, type EmailContext, email, emailWords, type Occasion, occasionFacts } from './email.ts';

/** Somebody signed in on a device that was not seen before. */
export function newDeviceEmail(context: EmailContext, props: Occasion): Email {
  const { words, say } = emailWords(context);
  return email(context, {
    subject: say(words.new_device.subject),
    lead: say(words.new_device.lead),
    facts: occasionFacts(props, context),
    advice: [say(words.was_you), say(words.was_not_you)],
    action: { label: words.see_sessions, path: '/account/sessions' },
  });
}
