import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import type { Finding } from '../../src/findings.ts';
import { applyBaseline, parseBaseline, writeBaseline } from '../../src/lint/baseline.ts';
import { rules } from '../../src/lint/rules.ts';
import { toSarif } from '../../src/lint/sarif.ts';
import { lintText } from '../../src/lint/text.ts';

const findings: Finding[] = [
  { rule: 'P-02/no-rls', object: 'shop.orders', risk: 'all is seen', fix: 'alter one;\nalter two;' },
  { rule: 'P-11/no-check', object: 'policy p on shop.orders', risk: 'all is written', fix: 'alter policy;' },
  { rule: 'P-24/no-leading-index', object: 'shop.orders', risk: 'all is read', fix: 'create index;' },
];

describe('text', () => {
  test('groups by object, aligned', () => {
    expect(lintText(findings)).toBe(
      [
        'shop.orders',
        '  P-02/no-rls            all is seen',
        '                         alter one;',
        '                         alter two;',
        '  P-24/no-leading-index  all is read',
        '                         create index;',
        '',
        'policy p on shop.orders',
        '  P-11/no-check          all is written',
        '                         alter policy;',
        '',
        '3 findings in 2 objects.',
        '',
      ].join('\n'),
    );
  });

  test('is in colour only when asked, and says when there is nothing', () => {
    const mark = '\u001b[';
    expect(lintText(findings)).not.toContain(mark);
    expect(lintText(findings, { colour: true })).toContain(`${mark}31mP-02/no-rls`);
    expect(lintText([])).toBe('Nothing found.\n');
  });
});

describe('SARIF 2.1.0', () => {
  test('has every rule, and a result with its logical location for every finding', () => {
    const { version, runs } = toSarif(findings);
    const { tool, results } = runs[0];
    expect(version).toBe('2.1.0');
    expect(tool.driver.rules.map(({ id }) => id)).toEqual(rules.map(({ id }) => id));
    expect(results).toHaveLength(3);
    expect(results[1]).toMatchObject({
      ruleId: 'P-11/no-check',
      level: 'warning',
      locations: [{ logicalLocations: [{ fullyQualifiedName: 'policy p on shop.orders', kind: 'policy' }] }],
    });
    for (const { ruleId, ruleIndex } of results) expect(tool.driver.rules[ruleIndex]!.id).toBe(ruleId);
    expect(results[0]!.locations[0]).not.toHaveProperty('physicalLocation');
  });

  test('takes a file as the place, and describes a rule of another tool by its id', () => {
    const foreign = { ...findings[0]!, rule: 'P-99/other' };
    const [run] = toSarif([foreign], { file: 'db/schema.sql' }).runs;
    expect(run.results[0]!.locations[0]).toMatchObject({
      physicalLocation: { artifactLocation: { uri: 'db/schema.sql' } },
    });
    expect(run.tool.driver.rules.at(-1)).toEqual({ id: 'P-99/other' });
  });
});

describe('baseline', () => {
  const accepted = { rule: 'P-02/no-rls', object: 'shop.orders', reason: 'it is public' };

  test('takes away what was accepted, and tells what is stale', () => {
    const stale = { ...accepted, object: 'shop.gone' };
    const baseline = parseBaseline(JSON.stringify({ accepted: [accepted, stale] }));
    expect(applyBaseline(findings, baseline)).toEqual({ findings: findings.slice(1), stale: [stale] });
  });

  test('is written with the reasons that it had, and accepts what it was written for', () => {
    const written = parseBaseline(writeBaseline(findings, { accepted: [accepted] }));
    expect(written.accepted[0]).toEqual(accepted);
    expect(applyBaseline(findings, written)).toEqual({ findings: [], stale: [] });
  });

  test.each([
    ['no JSON', '{', /not JSON/],
    ['null', 'null', /must be \{ "accepted"/],
    ['another shape', '[]', /must be \{ "accepted"/],
    ['no reason', '{"accepted":[{"rule":"P-02/no-rls","object":"a.b"}]}', /entry 1 .* no "reason"/],
    ['an empty reason', '{"accepted":[{"rule":"x","object":"a.b","reason":" "}]}', /entry 1 .* no "reason"/],
    ['null as an entry', '{"accepted":[null]}', /entry 1 .* no "rule"/],
  ])('refuses %s', (_, text, message) => {
    expect(() => parseBaseline(text)).toThrow(message);
  });
});

test('docs/rules.md has a row for every rule, with its level, title and reason', () => {
  const text = readFileSync(new URL('../../docs/rules.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| `(P-[^`]+)` \| (.*?) \| (.*?) \| (.*?) \| .+ \|$/gm)].map((row) =>
    row.slice(1, 5),
  );
  expect(rows).toEqual(rules.map(({ id, level, title, why }) => [id, level, title, why]));
});
