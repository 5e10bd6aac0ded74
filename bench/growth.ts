/**
 * How a ledger that grows from 1 to 10 million transfers, in one process, changes what was measured: singles,
 * batches, reads and memory; then, of its log, the start and the replay.
 */

import type { Bench } from "./bench.ts";
import { BenchLedger, type Filled } from "./ledger.ts";
import type { Load } from "./load.ts";
import { measureReplay } from "./replay.ts";
import { inTurn, median, type Series } from "./rounds.ts";
import { atText, type Row, rateRow, rateText } from "./rows.ts";
import * as settings from "./settings.ts";
import { measureStart } from "./start.ts";

const WORKS = {
  single: { name: "single", load: { script: "single", connections: 256 } },
  reads: { name: "balance reads", load: { script: "balance", connections: settings.READ_CONNECTIONS } },
  batches: {
    name: `batches of ${settings.USUAL_BATCH.toLocaleString("en")}`,
    load: { script: "batch", connections: settings.BATCH_CONNECTIONS, batch: settings.USUAL_BATCH },
  },
} as const satisfies Record<string, { name: string; load: Omit<Load, "seconds"> }>;
type WorkName = keyof typeof WORKS;
const WORK_NAMES = Object.keys(WORKS) as WorkName[];

/** It is among the first, so that what the largest requests take is part of both sizes in memory. */
const FILLING: Omit<Load, "seconds"> = {
  script: "batch",
  connections: settings.BATCH_CONNECTIONS,
  batch: settings.FILLING_BATCH,
};

/** Of how many loads that filled the ledger, at either end, the median is told. */
const ENDS = 3;

/** One work at one size of the ledger. */
interface Measured {
  readonly transfers: number;
  readonly own: Series;
  readonly reference: Series;
}

export async function measureGrowth(bench: Bench): Promise<{ rows: Row[]; filled: readonly Filled[] }> {
  const ledger = await BenchLedger.open(bench, "growth");
  for (const load of [WORKS.single.load, WORKS.reads.load, FILLING])
    await ledger.load({ ...load, seconds: settings.GROWTH_SECONDS });
  const early = await measureAll(bench, ledger);
  const filled = [...(await ledger.fill(settings.FIRST_TRANSFERS))];
  const small: Size = { ids: await ledger.transfers(), memory: await ledger.memory() };
  const rows = await measureReplay(bench, ledger.data, atText(small.ids));
  filled.push(...(await ledger.fill(settings.LAST_TRANSFERS)));
  const large: Size = { ids: await ledger.transfers(), memory: await ledger.memory() };
  const late = await measureAll(bench, ledger);
  await ledger.audit();
  rows.unshift(
    ...WORK_NAMES.flatMap((name) => grownRows(name, early[name], late[name])),
    ...filledRows(filled),
    ...memoryRows(small, large),
  );
  const at = atText(await ledger.transfers());
  rows.push(...(await measureReplay(bench, ledger.data, at, settings.ROUNDS, true)));
  rows.push(...(await measureStart(ledger)));
  await ledger.stop();
  ledger.remove();
  return { rows, filled };
}

async function measureAll(bench: Bench, ledger: BenchLedger): Promise<Record<WorkName, Measured>> {
  const measure = async (name: WorkName): Promise<[WorkName, Measured]> => {
    const { load } = WORKS[name];
    const before = await ledger.transfers();
    const series = await inTurn(
      {
        reference: (seconds) => bench.loads.wrk(bench.referenceUrl, { ...load, seconds }),
        own: (seconds) => ledger.load({ ...load, seconds }),
      },
      settings.GROWTH_SECONDS,
    );
    return [name, { transfers: (before + (await ledger.transfers())) / 2, ...series }];
  };
  const measured: [WorkName, Measured][] = [];
  for (const name of WORK_NAMES) measured.push(await measure(name));
  return Object.fromEntries(measured) as Record<WorkName, Measured>;
}

function grownRows(work: WorkName, early: Measured, late: Measured): Row[] {
  const { name, load } = WORKS[work];
  const first = `coffer, ${name}, ${atText(early.transfers)}`;
  const grown = late.own.rate / early.own.rate;
  return [
    rateRow(first, load.connections, early.own, referenceOf(early)),
    rateRow(`coffer, ${name}, ${atText(late.transfers)}`, load.connections, late.own, {
      ...referenceOf(late),
      claims:
        work === "reads"
          ? []
          : [
              {
                work: name,
                what: "grown / young ledger",
                value: grown,
                sense: "≥",
                target: settings.TARGETS.grown,
                unit: "×",
              },
            ],
    }),
  ];
}

function referenceOf({ own, reference }: Measured): Pick<Row, "ratio" | "to"> {
  return { ratio: own.ratioTo(reference), to: `reference, ${rateText(reference.rate)}` };
}

function filledRows(filled: readonly Filled[]): Row[] {
  const rate = (some: readonly Filled[]) => median(some.map((one) => one.rate));
  const at = (some: readonly Filled[]) => atText(median(some.map((one) => one.transfers)));
  const [first, last] = [filled.slice(0, ENDS), filled.slice(-ENDS)];
  const name = `batches of ${settings.FILLING_BATCH.toLocaleString("en")}`;
  const to = `coffer, ${name}, ${at(first)}`;
  return [
    { work: to, measured: rateText(rate(first)) },
    {
      work: `coffer, ${name}, ${at(last)}`,
      measured: rateText(rate(last)),
      ratio: rate(last) / rate(first),
      to,
    },
  ];
}

/** In ids, and in bytes of memory at rest. */
interface Size {
  readonly ids: number;
  readonly memory: number;
}

function memoryRows(small: Size, large: Size): Row[] {
  const each = (large.memory - small.memory) / (large.ids - small.ids);
  return [
    ...[small, large].map(({ ids, memory }) => ({
      work: `memory, ${atText(ids)}`,
      measured: `${Math.round(memory / 2 ** 20)} MiB`,
    })),
    { work: "memory, each id between the two", measured: `${each.toFixed(1)} bytes` },
  ];
}
