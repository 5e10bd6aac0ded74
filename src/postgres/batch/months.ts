/** Months of UTC, by which balance_change_logs is partitioned. */

/** When the months began (ms since 1970) in which these times lie, each once. */
export function monthStarts(times: Iterable<{ readonly atMs: number }>): readonly number[] {
  const starts = new Set<number>();
  let start = 0;
  let end = 0;
  for (const { atMs } of times) {
    if (atMs >= start && atMs < end) continue;
    const day = new Date(atMs);
    start = Date.UTC(day.getUTCFullYear(), day.getUTCMonth());
    end = Date.UTC(day.getUTCFullYear(), day.getUTCMonth() + 1);
    starts.add(start);
  }
  return [...starts];
}
