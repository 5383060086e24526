import type { ParsedUrlQuery } from 'node:querystring';
import type { SessionSummary } from '#src/domain/sessions/sessions.ts';
import { describeUserAgent } from '#src/lib/user-agent.ts';
import type { SessionProps, SessionsProps } from '#views/pages/sessions.ts';

/** A session as the page shows it. */
export function presentSession(session: SessionSummary): Omit<SessionProps, 'current' | 'end' | 'rename'> {
  const { ip, device_label } = session;
  return {
    device: describeUserAgent(session.user_agent),
    ...(device_label ? { label: device_label } : {}),
    ...(ip ? { ip } : {}),
    methods: session.amr ?? [],
    signed_in_at: session.authenticated_at.getTime(),
    active_at: session.last_activity_at.getTime(),
    idle_until: session.expires_at.getTime(),
    until: session.ends_at.getTime(),
  };
}

/**
 * What the notice says, from the address that a change leads back to. Only what the list itself bears out: an address that
 * somebody made up, or that is opened again much later, makes the page say nothing untrue.
 */
export function readDone(
  { ended, named }: ParsedUrlQuery,
  found: readonly SessionSummary[],
  session_id: string,
): SessionsProps['done'] {
  const isListed = (id: unknown) => found.some((session) => session.id === id);
  if (ended === 'others') {
    return found.every(({ id }) => id === session_id) ? 'ended_others' : undefined;
  }
  if (typeof ended === 'string') {
    return isListed(ended) ? undefined : 'ended_one';
  }
  return isListed(named) ? 'named' : undefined;
}
