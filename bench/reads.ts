/** Balance reads, by themselves and while batches are committed. */

import type { Bench } from "./bench.ts";
import { withLedger } from "./ledger.ts";
import type { Load } from "./load.ts";
import { inTurn } from "./rounds.ts";
import { type Row, rateRow } from "./rows.ts";
import * as settings from "./settings.ts";

/** The batches begin before the reads, and end after them. */
const LONGER_SECONDS = 1;

export function measureReads(bench: Bench): Promise<Row[]> {
  return withLedger(bench, "reads", async (ledger) => {
    const load: Omit<Load, "seconds"> = { script: "balance", connections: settings.READ_CONNECTIONS };
    const { reference, alone, beside } = await inTurn(
      {
        reference: (seconds) => bench.loads.wrk(bench.referenceUrl, { ...load, seconds }),
        alone: (seconds) => ledger.load({ ...load, seconds }),
        beside: async (seconds) => {
          const batches = ledger.load({
            script: "batch",
            connections: settings.BATCH_CONNECTIONS,
            seconds: seconds + LONGER_SECONDS,
            batch: settings.USUAL_BATCH,
          });
          await ledger.moves();
          const reads = await ledger.load({ ...load, seconds });
          await batches;
          return reads;
        },
      },
      settings.READ_SECONDS,
      settings.WARM_UP_SECONDS,
    );
    const to = "does nothing, balance reads";
    return [
      rateRow(to, load.connections, reference),
      rateRow("coffer, balance reads", load.connections, alone, { ratio: alone.ratioTo(reference), to }),
      rateRow("coffer, balance reads beside batches", load.connections, beside, {
        ratio: beside.ratioTo(reference),
        to,
        claims: [
          {
            work: "reads beside batches",
            what: "p99",
            value: beside.latency.p99 / 1_000,
            sense: "<",
            target: settings.TARGETS.readP99Ms,
            unit: "ms",
          },
        ],
      }),
    ];
  });
}
