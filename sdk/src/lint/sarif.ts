import type { Finding } from '../findings.ts';
import { rules } from './rules.ts';

/** A log of SARIF 2.1.0, as far as it is filled here. */
export interface Sarif {
  $schema: string;
  version: '2.1.0';
  runs: [{ tool: { driver: Driver }; columnKind: 'utf16CodeUnits'; results: Result[] }];
}

interface Driver {
  name: 'rls';
  rules: Descriptor[];
}

interface Descriptor {
  id: string;
  name?: string;
  shortDescription?: { text: string };
  fullDescription?: { text: string };
  defaultConfiguration?: { level: string };
}

interface Result {
  ruleId: string;
  ruleIndex: number;
  level: string;
  message: { text: string };
  locations: {
    physicalLocation?: { artifactLocation: { uri: string }; region: { startLine: 1 } };
    logicalLocations: [{ fullyQualifiedName: string; kind: string }];
  }[];
  partialFingerprints: { 'ruleAndObject/v1': string };
}

/**
 * Findings in SARIF 2.1.0: an object of a database is a logical location. Viewers that show files only take
 * `file`, such as the dump of the schema, as the place of all findings.
 */
export function toSarif(findings: Finding[], { file }: { file?: string } = {}): Sarif {
  const unknown = [...new Set(findings.map(({ rule }) => rule))].filter(
    (id) => !rules.some((rule) => rule.id === id),
  );
  const descriptors: Descriptor[] = [
    ...rules.map(({ id, title, why, level }) => ({
      id,
      name: pascal(id),
      shortDescription: { text: `${title}.` },
      fullDescription: { text: why },
      defaultConfiguration: { level },
    })),
    ...unknown.map((id) => ({ id })),
  ];
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'rls', rules: descriptors } },
        columnKind: 'utf16CodeUnits',
        results: findings.map(({ rule, object, risk, fix }) => ({
          ruleId: rule,
          ruleIndex: descriptors.findIndex(({ id }) => id === rule),
          level: rules.find(({ id }) => id === rule)?.level ?? 'error',
          message: { text: `${object}: ${risk}\n\n${fix}` },
          locations: [
            {
              ...(file
                ? { physicalLocation: { artifactLocation: { uri: file }, region: { startLine: 1 } } }
                : {}),
              logicalLocations: [{ fullyQualifiedName: object, kind: kindOf(object) }],
            },
          ],
          partialFingerprints: { 'ruleAndObject/v1': `${rule} ${object}` },
        })),
      },
    ],
  };
}

/** `P-02/no-rls` gives `P02NoRls`: names of rules are for people, and have no marks. */
function pascal(id: string): string {
  return id
    .split(/[-/]/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
}

/** `policy x on y` is a policy; a name alone is a table or a view. */
function kindOf(object: string): string {
  return (
    /^(policy|role|constraint|index|function|schema|server|publication|database)\b/.exec(object)?.[1] ??
    'table'
  );
}
