import { applyBaseline } from '../lint/baseline.ts';
import { reportHtml } from '../prove/html.ts';
import { prove } from '../prove/prove.ts';
import { reportText } from '../prove/text.ts';
import type { ProveArgs } from './args.ts';
import { readBaseline } from './baseline.ts';
import { readOptions } from './config.ts';
import { readWhole, withClient } from './connect.ts';
import { writeNamed } from './files.ts';
import { hints } from './headline.ts';
import type { Outcome, Surroundings } from './outcome.ts';
import { count, printable } from './style.ts';

/** `rls prove`: tries to get at one tenant's rows as another, and reports. Leaves nothing behind. Throws CannotRun. */
export async function runProve(
  args: ProveArgs,
  url: string | undefined,
  around: Surroundings,
): Promise<Outcome> {
  const options = readOptions(args, around.directory);
  const file = args.baseline;
  const { accepted } = (file !== undefined && readBaseline(file, false, around.directory)) || {
    accepted: [],
  };
  const { proved, notes } = await withClient(url, async (client) => {
    const catalogue = await readWhole(client, options);
    return {
      proved: await prove(client, catalogue, options),
      notes: hints({ client, catalogue, options }),
    };
  });
  // The linter accepts more by the same file, so an entry that nothing needs here is not told.
  const { findings } = applyBaseline(proved.findings, { accepted });
  const left = proved.findings.length - findings.length;
  const report = {
    ...proved,
    findings,
    notes:
      left === 0
        ? proved.notes
        : [
            `${count(left, 'finding')} accepted by ${file}${findings.length === 0 ? ': all that got through is theirs' : ''}`,
            ...proved.notes,
          ],
  };
  const json = `${JSON.stringify(report, null, 2)}\n`;
  if (args.html !== undefined) writeNamed(around.directory, args.html, reportHtml(report));
  if (args.report !== undefined) writeNamed(around.directory, args.report, json);
  return {
    exit: report.findings.length === 0 ? 0 : 1,
    stdout: args.json ? json : [printable(reportText(report)), ...notes.map((note) => `${note}\n`)].join(''),
    stderr: '',
  };
}
