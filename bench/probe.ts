// Loaded into a server before its own code: answers the bench over the channel between parent and child.

export interface Usage {
  /** Processor time of the whole process since its start, in milliseconds. */
  cpu_ms: number;
  rss: number;
}

export type Question = 'usage' | 'work';

process.on('message', (question: Question) => {
  if (question === 'usage') {
    const { userCPUTime, systemCPUTime } = process.resourceUsage();
    process.send!({ cpu_ms: (userCPUTime + systemCPUTime) / 1000, rss: process.memoryUsage.rss() });
  }
});
// The server ends when its own work ends.
process.channel?.unref();
