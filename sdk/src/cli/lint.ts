import type { Finding } from '../findings.ts';
import { applyBaseline, writeBaseline } from '../lint/baseline.ts';
import { lint } from '../lint/lint.ts';
import { toSarif } from '../lint/sarif.ts';
import { lintText } from '../lint/text.ts';
import type { LintArgs } from './args.ts';
import { readBaseline } from './baseline.ts';
import { readOptions } from './config.ts';
import { readWhole, withClient } from './connect.ts';
import { writeNamed } from './files.ts';
import { type Context, headline, hints } from './headline.ts';
import type { Outcome, Surroundings } from './outcome.ts';
import { count, makeStyle, printableFindings } from './style.ts';

/**
 * `rls lint`: reads the catalogue of the database at `url` and gives the findings that the baseline does not accept.
 * Writes the files that were asked for and nothing else. Throws CannotRun.
 */
export async function runLint(
  args: LintArgs,
  url: string | undefined,
  around: Surroundings,
): Promise<Outcome> {
  const options = readOptions(args, around.directory);
  const file = args.baseline ?? (args['write-baseline'] ? 'rls-baseline.json' : undefined);
  const before =
    file === undefined ? undefined : readBaseline(file, args['write-baseline'], around.directory);
  const { found, context } = await withClient(url, async (client) => {
    const catalogue = await readWhole(client, options);
    return { found: lint(catalogue, options), context: { client, catalogue, options } };
  });
  if (file !== undefined && args['write-baseline']) {
    writeNamed(around.directory, file, writeBaseline(found, before));
  }
  const accepted = args['write-baseline'] ? { accepted: found.map(accept) } : before;
  const { findings, stale } = applyBaseline(found, accepted ?? { accepted: [] });
  if (args.sarif !== undefined) {
    writeNamed(around.directory, args.sarif, `${JSON.stringify(toSarif(findings), null, 2)}\n`);
  }
  const result = {
    findings,
    accepted: found.length - findings.length,
    stale: stale.map(({ rule, object }) => ({ rule, object })),
  };
  return {
    exit: findings.length === 0 ? 0 : 1,
    stdout: args.json
      ? `${JSON.stringify({ ...result, database: context.catalogue.database, role: context.catalogue.role.name }, null, 2)}\n`
      : lintReport(result, { context, colours: around.colours, file, written: args['write-baseline'] }),
    stderr: '',
  };
}

const accept = ({ rule, object }: Finding) => ({ rule, object, reason: '' });

interface LintResult {
  findings: Finding[];
  accepted: number;
  stale: { rule: string; object: string }[];
}

interface Circumstances {
  context: Context;
  colours: boolean;
  file: string | undefined;
  written: boolean;
}

function lintReport(
  { findings, accepted, stale }: LintResult,
  { context, colours, file, written }: Circumstances,
): string {
  const style = makeStyle(colours);
  const body = lintText(printableFindings(findings), { colour: colours });
  const notes = [
    ...(written ? [`${file} accepts ${count(accepted, 'finding')}: say in it why each is right here.`] : []),
    ...(accepted > 0 && !written ? [`${count(accepted, 'finding')} accepted by ${file}.`] : []),
    ...stale.map(
      ({ rule, object }) => `${file} accepts ${rule} of ${object}, which is not found any more: take it out.`,
    ),
    ...hints(context),
    findings.length === 0
      ? 'Next: rls prove tries it out.'
      : 'Next: run the SQL above as the owner, or accept what is right here with --write-baseline.',
  ];
  const ending = findings.length === 0 ? style.good(body) : body;
  return `${style.dim(headline('lint', context))}\n\n${ending}${notes.map((note) => `${style.dim(note)}\n`).join('')}`;
}
