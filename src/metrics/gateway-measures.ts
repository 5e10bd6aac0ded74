/**
 * What a gateway measures, in memory that it shares with the engine's thread: so whichever gateway is asked for
 * metrics, all of the process are told, and none of them has to be asked.
 *
 * Only the gateway writes. An answer costs it one bucket and one counter.
 */

import type { Answered } from "../ports/measures.ts";
import { ANSWER_TIMES, cellsOf, Histogram, LAGS } from "./histogram.ts";

/** Whose answers have a histogram of their own. */
export const KINDS = ["transfer", "transfers", "read", "other"] as const;
type Kind = (typeof KINDS)[number];

/** The paths that are told apart, and what they are to those who wait for an answer. */
const PATHS: readonly (readonly [path: string, kind: Kind])[] = [
  ["/v1/wallet/transfer", "transfer"],
  ["/v1/wallet/deposit", "transfer"],
  ["/v1/wallet/withdraw", "transfer"],
  ["/v1/wallet/accounts", "transfer"],
  ["/v1/wallet/transfers", "transfers"],
  ["/v1/wallet/balance/:account_id", "read"],
  ["/v1/ledger", "read"],
  ["/v1/seal", "read"],
  ["/health/live", "other"],
  ["/health/ready", "other"],
  ["/metrics", "other"],
  ["/openapi.json", "other"],
];
/** Every other path. */
const OTHER = "other";
const NAMES = [...PATHS.map(([path]) => path), OTHER];

const FIRST_STATUS = 100;
const STATUSES = 500;
/** Whose first occurrence must be seen as one: their samples are there from the start. */
const ALARMING = [500, 503, 504];

const COUNTERS = NAMES.length * STATUSES;
const GAUGES = ["waitingCommands", "readModelLag", "heapBytes", "connections", "full"] as const;
const CELLS = COUNTERS + KINDS.length * cellsOf(ANSWER_TIMES) + cellsOf(LAGS) + GAUGES.length;

export class GatewayMeasures {
  readonly #statuses: Float64Array;
  readonly #gauges: Float64Array;
  readonly durations: ReadonlyMap<Kind, Histogram>;
  readonly loopLag: Histogram;

  /** Both threads have one, over the same memory. */
  constructor(readonly memory = new SharedArrayBuffer(CELLS * Float64Array.BYTES_PER_ELEMENT)) {
    let at = 0;
    const cells = (count: number) => {
      const part = new Float64Array(memory, at * Float64Array.BYTES_PER_ELEMENT, count);
      at += count;
      return part;
    };
    this.#statuses = cells(COUNTERS);
    this.durations = new Map(
      KINDS.map((kind) => [kind, new Histogram(ANSWER_TIMES, cells(cellsOf(ANSWER_TIMES)))]),
    );
    this.loopLag = new Histogram(LAGS, cells(cellsOf(LAGS)));
    this.#gauges = cells(GAUGES.length);
  }

  /** Who is to hear of the answers of a path. */
  of(path: string): Answered {
    const known = PATHS.findIndex(([name]) => name === path);
    const number = known < 0 ? PATHS.length : known;
    const durations = this.durations.get(PATHS[number]?.[1] ?? OTHER) as Histogram;
    const statuses = this.#statuses;
    const first = number * STATUSES - FIRST_STATUS;
    return (status, startedMs) => {
      const at = first + status;
      statuses[at] = (statuses[at] as number) + 1;
      durations.observe((performance.now() - startedMs) / 1_000);
    };
  }

  /** All of them together. */
  static sum(all: readonly GatewayMeasures[]): GatewayMeasures {
    const sum = new GatewayMeasures();
    const cells = new Float64Array(sum.memory);
    for (const { memory } of all) {
      const more = new Float64Array(memory);
      for (let cell = 0; cell < CELLS; cell++) cells[cell] = (cells[cell] as number) + (more[cell] as number);
    }
    return sum;
  }

  /** How many answers each path gave, by their status: those that there were, and the alarming ones. */
  answers(): { readonly path: string; readonly status: number; readonly count: number }[] {
    const answers: { path: string; status: number; count: number }[] = [];
    NAMES.forEach((path, number) => {
      for (let place = 0; place < STATUSES; place++) {
        const status = FIRST_STATUS + place;
        const count = this.#statuses[number * STATUSES + place] as number;
        if (count > 0 || ALARMING.includes(status)) answers.push({ path, status, count });
      }
    });
    return answers;
  }

  /** Tells how things stand now; done a few times a second. */
  tell(now: Readonly<Record<(typeof GAUGES)[number], number>>): void {
    GAUGES.forEach((name, place) => {
      this.#gauges[place] = now[name];
    });
  }

  /** What was told last. */
  get told(): Readonly<Record<(typeof GAUGES)[number], number>> {
    const [waitingCommands = 0, readModelLag = 0, heapBytes = 0, connections = 0, full = 0] = this.#gauges;
    return { waitingCommands, readModelLag, heapBytes, connections, full };
  }
}
