import cliProgress from 'cli-progress';

/** Where a person sees how far it is. */
export type ProgressStream = Pick<NodeJS.WriteStream, 'isTTY' | 'write'>;

export interface Progress {
  show(position: { records: number; offset: number }): void;
  stop(): void;
}

const linesEvery = 10_000;

/** A bar on a terminal, elsewhere a line for every 10,000 records. */
export function startProgress(
  stream: ProgressStream,
  { bytes, records, offset }: { bytes: number; records: number; offset: number },
): Progress {
  if (!stream.isTTY) {
    let shown = records;
    return {
      show(position) {
        if (Math.floor(position.records / linesEvery) > Math.floor(shown / linesEvery)) {
          stream.write(`${position.records} records\n`);
        }
        shown = position.records;
      },
      stop() {},
    };
  }
  const bar = new cliProgress.SingleBar({
    stream: stream as NodeJS.WriteStream,
    format: '{bar} {percentage}%  {records} records  {eta_formatted} left',
    // Its handlers of signals would keep Ctrl-C from ending the command.
    gracefulExit: false,
    clearOnComplete: true,
    hideCursor: false,
  });
  bar.start(bytes, offset, { records });
  return {
    show: (position) => bar.update(position.offset, { records: position.records }),
    stop: () => bar.stop(),
  };
}
