/** Single transfers and batches beside the reference's routes, between all accounts and with one hot one. */

import type { Bench } from "./bench.ts";
import { type BenchLedger, withLedger } from "./ledger.ts";
import type { Load } from "./load.ts";
import { inTurn, type Series, type Work } from "./rounds.ts";
import { type Claim, type Row, rateRow } from "./rows.ts";
import * as settings from "./settings.ts";

const { TARGETS } = settings;
const NOTHING = "does nothing";
const VALIDATES = "validates only";

export function measureSingles(
  bench: Bench,
  connections: (typeof settings.SINGLE_CONNECTIONS)[number],
): Promise<Row[]> {
  return withLedger(bench, `single-${connections}`, async (ledger) => {
    const { reference, uniform, hot } = works(bench, ledger, { script: "single", connections });
    const name = `single, ${connections} connections`;
    const claims = [rateClaim(name, TARGETS.single[connections])];
    if (connections !== settings.CLIENT_CALLERS) {
      const series = await inTurn(
        { reference, uniform, hot },
        settings.SINGLE_SECONDS,
        settings.WARM_UP_SECONDS,
      );
      return rowsOf("single", connections, series, claims, NOTHING);
    }
    const client: Work = (seconds) => ledger.client(settings.CLIENT_CALLERS, seconds);
    const series = await inTurn(
      { reference, uniform, hot, client },
      settings.SINGLE_SECONDS,
      settings.WARM_UP_SECONDS,
    );
    const p99: ClaimOf = (own, base) => ({
      work: name,
      what: "p99 / its p99",
      value: own.ratioTo(base, (result) => result.p99),
      sense: "≤",
      target: TARGETS.singleP99,
      unit: "×",
    });
    const ratio = series.client.ratioTo(series.uniform);
    return [
      ...rowsOf("single", connections, series, [...claims, p99], NOTHING),
      rateRow("coffer, single by the client", settings.CLIENT_CALLERS, series.client, {
        ratio,
        to: "coffer, single",
        claims: [
          {
            work: `client, ${settings.CLIENT_CALLERS} in flight`,
            what: "rate",
            value: ratio,
            sense: "≥",
            target: TARGETS.client,
            unit: "×",
          },
        ],
      }),
    ];
  });
}

export function measureBatches(bench: Bench, batch: (typeof settings.BATCH_SIZES)[number]): Promise<Row[]> {
  return withLedger(bench, `batch-${batch}`, async (ledger) => {
    const connections = settings.BATCH_CONNECTIONS;
    const name = `batches of ${batch.toLocaleString("en")}`;
    const series = await inTurn(
      works(bench, ledger, { script: "batch", connections, batch }),
      settings.BATCH_SECONDS,
      settings.WARM_UP_SECONDS,
    );
    const claims = [rateClaim(name, TARGETS.batch[batch])];
    if (batch === 8_000)
      claims.push((own) => ({
        work: name,
        what: "p99 / p50",
        value: own.latency.p99 / own.latency.p50,
        sense: "≤",
        target: TARGETS.batchP99,
        unit: "×",
      }));
    return rowsOf(name, connections, series, claims, VALIDATES);
  });
}

type ClaimOf = (own: Series, base: Series) => Claim;

function rateClaim(work: string, target: number): ClaimOf {
  return (own, base) => ({ work, what: "rate", value: own.ratioTo(base), sense: "≥", target, unit: "×" });
}

function works(bench: Bench, ledger: BenchLedger, load: Omit<Load, "seconds">) {
  return {
    reference: (seconds) => bench.loads.wrk(bench.referenceUrl, { ...load, seconds }),
    uniform: (seconds) => ledger.load({ ...load, seconds }),
    hot: (seconds) => ledger.load({ ...load, seconds, hot: true }),
  } satisfies Record<string, Work>;
}

function rowsOf(
  name: string,
  connections: number,
  { reference, uniform, hot }: Readonly<Record<"reference" | "uniform" | "hot", Series>>,
  claims: readonly ClaimOf[],
  does: string,
): Row[] {
  const to = `${does}, ${name}`;
  const all = name === "single" ? `${name}, ${connections} connections` : name;
  const hotClaim: Claim = {
    work: all,
    what: "hot / all accounts",
    value: hot.ratioTo(uniform),
    sense: "≥",
    target: TARGETS.hot,
    unit: "×",
  };
  return [
    rateRow(to, connections, reference),
    rateRow(`coffer, ${name}`, connections, uniform, {
      ratio: uniform.ratioTo(reference),
      to,
      claims: claims.map((claim) => claim(uniform, reference)),
    }),
    rateRow(`coffer, ${name}, one hot account`, connections, hot, {
      ratio: hot.ratioTo(reference),
      to,
      claims: [hotClaim],
    }),
  ];
}
