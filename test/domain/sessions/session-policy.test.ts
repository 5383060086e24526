import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import {
  sessionBounds,
  sessionDefaults,
  sessionEnds,
  sessionPolicy,
} from '#src/domain/sessions/session-policy.ts';

const document = readFileSync(new URL('../../../docs/sessions.md', import.meta.url), 'utf8');
const defaults = { idle: 1_800, absolute: 28_800, limit: 20 };

test('docs/sessions.md says what the code does [7.1.1, 7.1.2]', () => {
  for (const name of ['idle', 'absolute', 'limit'] as const) {
    const { least, most } = sessionBounds[name];
    expect(document).toContain(`| \`${name}\` | ${sessionDefaults[name]} | ${least} | ${most} |`);
  }
});

describe('the policy of a tenant', () => {
  test('that says nothing is the default', () => {
    expect(sessionPolicy({})).toEqual(defaults);
    expect(sessionPolicy({ session: {} })).toEqual(defaults);
  });

  test('is what it says within the bounds [N-20, N-21]', () => {
    expect(sessionPolicy({ session: { idle: 'PT1M', absolute: 'PT5M', limit: 1 } })).toEqual({
      idle: 60,
      absolute: 300,
      limit: 1,
    });
    expect(sessionPolicy({ session: { idle: 'P1D', absolute: 'P30D', limit: 100 } })).toEqual({
      idle: 86_400,
      absolute: 30 * 86_400,
      limit: 100,
    });
  });

  test('is held to the bounds when a row says otherwise', () => {
    expect(sessionPolicy({ session: { idle: 'PT1S', absolute: 'PT1S', limit: 0 } })).toEqual({
      idle: 60,
      absolute: 300,
      limit: 1,
    });
    expect(sessionPolicy({ session: { idle: 'P9D', absolute: 'P999D', limit: 1e9 } })).toEqual({
      idle: 86_400,
      absolute: 30 * 86_400,
      limit: 100,
    });
  });

  test('never lets idle outlast absolute', () => {
    expect(sessionPolicy({ session: { absolute: 'PT10M' } })).toMatchObject({ idle: 600, absolute: 600 });
  });
});

test('use moves the end, but not past the absolute one [M-5]', () => {
  const at = (minutes: number) => new Date(minutes * 60_000);
  const ends = (used: number) =>
    sessionEnds({ authenticated_at: at(0), last_activity_at: at(used) }, { idle: 600, absolute: 3_600 });
  expect(ends(0)).toEqual({ expires_at: at(10), ends_at: at(60) });
  expect(ends(45)).toEqual({ expires_at: at(55), ends_at: at(60) });
  expect(ends(59)).toEqual({ expires_at: at(60), ends_at: at(60) });
});
