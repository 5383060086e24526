import type { TenantSettings } from '#src/database/schema.ts';
import { parseDuration } from '#src/lib/duration.ts';

/** How long the sessions of a tenant last, in seconds, and how many of them a user may have at once. */
export interface SessionPolicy {
  idle: number;
  absolute: number;
  limit: number;
}

/** What a tenant has that says nothing (NIST SP 800-63B-4 section 2.2.3 advises an hour and a day at most). */
export const sessionDefaults = { idle: 'PT30M', absolute: 'PT8H', limit: 20 } as const;

/** What the platform lets a tenant choose; 30 days are the longest that NIST SP 800-63B-4 section 2.1.3 advises. */
export const sessionBounds = {
  idle: { least: 'PT1M', most: 'P1D' },
  absolute: { least: 'PT5M', most: 'P30D' },
  limit: { least: 1, most: 100 },
} as const;

/** The policy of a tenant. What was stored out of bounds counts as the nearest that is allowed; idle never outlasts absolute. */
export function sessionPolicy({ session = {} }: TenantSettings): SessionPolicy {
  const seconds = (name: 'idle' | 'absolute') =>
    clamp(
      parseDuration(session[name] ?? sessionDefaults[name]),
      parseDuration(sessionBounds[name].least),
      parseDuration(sessionBounds[name].most),
    );
  const absolute = seconds('absolute');
  return {
    idle: Math.min(seconds('idle'), absolute),
    absolute,
    limit: clamp(session.limit ?? sessionDefaults.limit, sessionBounds.limit.least, sessionBounds.limit.most),
  };
}

const clamp = (value: number, least: number, most: number) => Math.min(Math.max(value, least), most);

export interface SessionTimes {
  authenticated_at: Date;
  last_activity_at: Date;
}

/**
 * When the session ends by this policy: never later than the absolute end, whatever its use. A tenant that shortens its
 * settings shortens the sessions that it has.
 */
export function sessionEnds(
  { authenticated_at, last_activity_at }: SessionTimes,
  { idle, absolute }: Pick<SessionPolicy, 'idle' | 'absolute'>,
): { expires_at: Date; ends_at: Date } {
  const ends_at = authenticated_at.getTime() + absolute * 1000;
  return {
    expires_at: new Date(Math.min(last_activity_at.getTime() + idle * 1000, ends_at)),
    ends_at: new Date(ends_at),
  };
}
