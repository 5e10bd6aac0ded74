/** `coffer replay` and `coffer verify`, on good logs and on bad ones. They change nothing. */

import { beforeAll, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { CofferNode, coffer, RUNTIME_NAMES, replay } from "../../tools/harness/coffer.ts";
import { contentsOf, temporaryFolder } from "../../tools/harness/folders.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import { randomIntegers } from "../../tools/harness/seed.ts";
import { Tellers } from "../support/tellers.ts";

const MAX = 2n ** 63n - 1n;

/** A stopped ledger with three currencies and balances of up to 2^63-1. */
let ledger: string;

beforeAll(async () => {
  const node = await CofferNode.start(temporaryFolder());
  const { client } = node;
  await client.open("whale", String(MAX - 5n), { currency: "BIG" });
  await client.open("minnow", 5, { currency: "BIG" });
  await client.open("empty", 0, { currency: "EUR" });
  await client.open("Zoe", 9_007_199_254_740_993n.toString());
  await client.transfer({
    from_account: "whale",
    to_account: "empty",
    amount: "9007199254740993",
    currency: "BIG",
  });
  await client.transfer({ from_account: "Zoe", to_account: "zoe", amount: 1 });
  await client.transfer({ from_account: "zoe", to_account: "Zoe", amount: 2 });
  await new Tellers(randomIntegers()).work(client, 100, 8);
  expect(await node.stop()).toBe(0);
  ledger = node.data;
});

const logOf = (data: string) => join(data, "events.log");

/** A copy that may be spoilt. */
function copyOfLedger(): string {
  const data = temporaryFolder();
  cpSync(ledger, data, { recursive: true });
  return data;
}

const exits = async (command: "replay" | "verify", data: string) => {
  const before = contentsOf(data);
  const result = await coffer([command, "--data", data]);
  expect(contentsOf(data)).toEqual(before);
  expect(result.stderr).not.toContain("    at "); // reasons, not stacks
  return result;
};

describe.each(RUNTIME_NAMES)("under %s", (runtime) => {
  test("replay prints what an independent replay finds, exact to the last digit", async () => {
    const independent = replayIndependently(logOf(ledger));
    const { code, stdout, stderr } = await coffer(["replay", "--data", ledger, "--json"], runtime);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout.split("\n")).toHaveLength(1);
    expect(Object.keys(JSON.parse(stdout))).toEqual([
      ...["events", "commands", "accounts", "transactions", "totals", "digest", "seconds"],
    ]);
    const { events, commands, digest } = JSON.parse(stdout);
    expect([events, commands, digest]).toEqual([
      independent.events,
      independent.commands,
      independent.digest,
    ]);
    expect(stdout).toContain(`{"currency":"BIG","sum":0,"in_circulation":${MAX}}`);
    expect(stdout).toContain('{"currency":"EUR","sum":0,"in_circulation":0}');

    const text = (await coffer(["replay", "--data", ledger], runtime)).stdout;
    expect(text).toMatch(new RegExp(`^digest +${digest}$`, "m"));
    expect(text).toMatch(new RegExp(`^totals +BIG: sum 0, in circulation ${MAX}$`, "m"));
    const { code: verified } = await coffer(["verify", "--data", ledger], runtime);
    expect(verified).toBe(0);
  });
});

describe("a torn end", () => {
  const tears: Readonly<Record<string, (log: string) => void>> = {
    "half a line": (log) => appendFileSync(log, '{"seq":99999,"type":"MoneyDed'),
    "a command without its last line": (log) => {
      const seq = readFileSync(log, "latin1").trimEnd().split("\n").length + 1;
      appendFileSync(
        log,
        `{"seq":${seq},"type":"MoneyDeducted","transaction_id":"01a1fdb1-7d12-7789-836f-1ff3039eaa2a","account":"whale","amount":5}\n`,
      );
    },
    zeros: (log) => appendFileSync(log, new Uint8Array(4_096)),
    "one line end": (log) => appendFileSync(log, "\n"),
  };

  test.each(Object.keys(tears))("of %s: replay passes over it and says so, verify does not", async (name) => {
    const data = copyOfLedger();
    tears[name]!(logOf(data));
    const replayed = await exits("replay", data);
    expect([replayed.code, replayed.stderr]).toEqual([0, expect.stringContaining("torn")]);
    expect((await replay(data)).digest).toBe((await replay(ledger)).digest);
    const verified = await exits("verify", data);
    expect([verified.code, verified.stdout]).toEqual([1, ""]);
    expect(verified.stderr).toContain(`${logOf(data)}: line `);
  });
});

describe("damage", () => {
  const lineAt = (text: string, line: number) =>
    text
      .split("\n", line - 1)
      .map((row) => `${row}\n`)
      .join("").length;
  /** Each spoils the log, and says on which line that shows; 0 where it is the length that tells. */
  const damages: Readonly<Record<string, (log: string) => number>> = {
    "another amount": (log) => replaceIn(log, /"amount":9007199254740993/, "2") + 1,
    "another account": (log) => replaceIn(log, /"account":"zoe","amount":1,/, "zoo"),
    "another crc": (log) => replaceIn(log, /"crc":"/, '"crc":"f00'),
    "a line that is gone": (log) => removeLine(log, 8),
    "a command that is gone": (log) => removeLine(log, 3),
    "a line that stands twice": (log) => {
      const rows = readFileSync(log, "latin1").split("\n");
      rows.splice(5, 0, rows[4]!);
      writeFileSync(log, rows.join("\n"), "latin1");
      return 6;
    },
    "a hole of zeros": (log) => {
      const text = readFileSync(log, "latin1");
      const from = lineAt(text, 7);
      writeFileSync(log, `${text.slice(0, from)}${"\0".repeat(64)}${text.slice(from + 64)}`, "latin1");
      return 7;
    },
    "a cut below its mark": (log) => {
      const text = readFileSync(log, "latin1");
      truncateSync(log, text.lastIndexOf("\n", text.length - 2) + 1);
      return 0;
    },
  };

  test.each(Object.keys(damages))("as %s: replay and verify exit 1 and name the line", async (name) => {
    const data = copyOfLedger();
    const line = damages[name]!(logOf(data));
    for (const command of ["replay", "verify"] as const) {
      const { code, stdout, stderr } = await exits(command, data);
      expect([command, code, stdout]).toEqual([command, 1, ""]);
      expect(stderr).toContain(`${logOf(data)}: line `);
      const [, told, byte] = /: line ([0-9]+), byte ([0-9]+): expected ./.exec(stderr)!;
      if (line === 0) continue;
      expect([command, Number(told)]).toEqual([command, line]);
      expect(Number(byte)).toBe(lineAt(readFileSync(logOf(data), "latin1"), line));
    }
  });

  /** Swaps in `put` for the match's end; returns the line. */
  function replaceIn(log: string, pattern: RegExp, put: string): number {
    const text = readFileSync(log, "latin1");
    const match = pattern.exec(text)!;
    const end = match.index + match[0].length;
    writeFileSync(log, text.slice(0, end - put.length) + put + text.slice(end), "latin1");
    return text.slice(0, match.index).split("\n").length;
  }

  function removeLine(log: string, line: number): number {
    const rows = readFileSync(log, "latin1").split("\n");
    rows.splice(line - 1, 1);
    writeFileSync(log, rows.join("\n"), "latin1");
    return 0;
  }
});

describe("without a log that can be read", () => {
  const folders: Readonly<Record<string, () => string>> = {
    "an empty folder": () => temporaryFolder(),
    "no folder": () => join(temporaryFolder(), "nothing"),
    "a folder in the log's place": () => {
      const data = temporaryFolder();
      mkdirSync(logOf(data));
      return data;
    },
    "a log of a newer format": () => {
      const data = copyOfLedger();
      const log = readFileSync(logOf(data), "latin1");
      writeFileSync(logOf(data), log.replace('"format":1', '"format":2'), "latin1");
      return data;
    },
    "a mark but no log": () => {
      const data = copyOfLedger();
      rmSync(logOf(data));
      return data;
    },
  };

  test.each(Object.keys(folders))("%s: replay and verify exit 1 with one line", async (name) => {
    const data = folders[name]!();
    for (const command of ["replay", "verify"] as const) {
      const { code, stdout, stderr } = await coffer([command, "--data", data]);
      expect([command, code, stdout]).toEqual([command, 1, ""]);
      expect(stderr.split("\n")).toHaveLength(1);
      expect(stderr).toStartWith(`coffer ${command}: `);
    }
  });
});

test("replay and verify beside a running node disturb nothing, and see what was acknowledged before", async () => {
  const node = await CofferNode.start(temporaryFolder());
  const tellers = new Tellers(randomIntegers());
  let working = true;
  const load = tellers.work(node.client, 3_000, 8).then(() => {
    working = false;
  });
  let rounds = 0;
  while (working) {
    const { seq } = await node.client.ledger();
    const seen = await replay(node.data);
    expect(seen.events).toBeGreaterThanOrEqual(seq);
    rounds++;
  }
  await load;
  expect(rounds).toBeGreaterThan(1);
  // The mark and the queue's files are the node's own to write meanwhile.
  const quiet = () =>
    Object.entries(contentsOf(node.data)).filter(
      ([path]) => !path.endsWith("events.mark") && !path.includes("/nats/"),
    );
  const before = quiet();
  const { events, digest } = await replay(node.data);
  expect((await coffer(["verify", "--data", node.data])).code).toBe(0);
  expect(quiet()).toEqual(before);
  expect((await node.client.ledger()).seq).toBe(events);
  expect(await node.stop()).toBe(0);
  expect(tellers.problems(logOf(node.data))).toEqual([]);
  expect(replayIndependently(logOf(node.data)).digest).toBe(digest);
});
