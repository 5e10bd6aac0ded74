/** `coffer backup`: what it copies while a node runs, what it refuses, and what a node makes of the copy. */

import { beforeAll, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { CofferNode, coffer, RUNTIME_NAMES, RUNTIMES, replay } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { contentsOf, temporaryFolder } from "../../tools/harness/folders.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import { NatsServer } from "../../tools/harness/nats.ts";
import { TestProcess } from "../../tools/harness/processes.ts";
import { randomIntegers, SEED } from "../../tools/harness/seed.ts";
import { SmallDisk } from "../support/small-disk.ts";
import { Tellers } from "../support/tellers.ts";

const logOf = (data: string) => join(data, "events.log");

/** How often a ledger is backed up while transfers run. */
const ROUNDS = 5;

interface Told {
  readonly ledger_id: string;
  readonly events: number;
  readonly bytes: number;
  readonly copied_bytes: number;
  readonly crc: string;
}

async function backUp(
  data: string,
  to: string,
  runtime = RUNTIME_NAMES[0] as (typeof RUNTIME_NAMES)[number],
) {
  const { code, stdout, stderr } = await coffer(["backup", "--data", data, "--to", to, "--json"], runtime);
  expect([code, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout) as Told;
}

/** A backup is a beginning of the source's log, and what it says it is. */
async function expectBackup(to: string, told: Told, source: string): Promise<void> {
  const copied = readFileSync(logOf(to));
  expect(copied.length).toBe(told.bytes);
  expect(copied.equals(readFileSync(logOf(source)).subarray(0, told.bytes))).toBe(true);
  expect(await coffer(["verify", "--data", to])).toMatchObject({ code: 0 });
  const { events, digest } = await replay(to);
  expect([events, digest]).toEqual([told.events, replayIndependently(logOf(to)).digest]);
}

/** A stopped ledger that is large enough to be interrupted in. */
let large: string;
/** Another one, of a few commands. */
let small: string;

beforeAll(async () => {
  const node = await CofferNode.start(temporaryFolder());
  await node.client.deposit("alice", 1_000_000_000);
  await node.client.deposit("bob", 1);
  const batch = Array.from({ length: 8_192 }, () => ({
    from_account: "alice",
    to_account: "bob",
    amount: 1,
  }));
  for (let number = 0; number < 10; number++) expect((await node.client.transfers(batch)).status).toBe(200);
  expect(await node.stop()).toBe(0);
  large = node.data;
  const other = await CofferNode.start(temporaryFolder());
  await other.client.deposit("carol", 7);
  expect(await other.stop()).toBe(0);
  small = other.data;
});

function copyOf(ledger: string): string {
  const data = temporaryFolder();
  for (const name of ["events.log", "events.mark"]) cpSync(join(ledger, name), join(data, name));
  return data;
}

test("seals that were begun anew do not go on behind those of an earlier backup", async () => {
  const data = temporaryFolder();
  const to = join(temporaryFolder(), "backup");
  const seals = join(data, "events.seals");
  const run = async (count: number, sealCommands = 1) => {
    const node = await CofferNode.start(data, { flags: ["--seal-commands", `${sealCommands}`] });
    for (let number = 0; number < count; number++) await node.client.deposit("alice", 1);
    expect(await node.stop()).toBe(0);
  };
  await run(3);
  await backUp(data, to);
  await run(3);
  await backUp(data, to);
  expect(readFileSync(join(to, "events.seals"))).toEqual(readFileSync(seals));
  renameSync(seals, join(temporaryFolder(), "kept"));
  await run(30, 2); // by one command a seal it would be the same chain once more
  const before = contentsOf(to);
  const { code, stdout, stderr } = await coffer(["backup", "--data", data, "--to", to]);
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toContain("events.seals belongs to another chain of seals than that of the ledger");
  expect(contentsOf(to)).toEqual(before);
  renameSync(join(to, "events.seals"), join(temporaryFolder(), "kept"));
  await backUp(data, to);
  expect(readFileSync(join(to, "events.seals"))).toEqual(readFileSync(seals));
  expect(await coffer(["verify", "--seals", "--data", to])).toMatchObject({ code: 0 });
});

test("backups taken while transfers run hold everything that was acknowledged before, and nothing torn", async () => {
  const node = await CofferNode.start(temporaryFolder());
  const tellers = new Tellers(randomIntegers(SEED));
  const folder = temporaryFolder();
  const extended = join(folder, "extended");
  const load = tellers.work(node.client, Number.MAX_SAFE_INTEGER, 16);
  const taken: [to: string, told: Told][] = [];
  let copied = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const enough = tellers.acknowledged + 400;
    await eventually("more was answered", () => tellers.acknowledged >= enough);
    const to = join(folder, `whole-${round}`);
    const { seq } = await node.client.ledger();
    const whole = await backUp(node.data, to);
    const more = await backUp(node.data, extended);
    for (const { events } of [whole, more]) expect(events).toBeGreaterThanOrEqual(seq);
    expect(whole.copied_bytes).toBe(whole.bytes);
    copied += more.copied_bytes;
    expect(copied).toBe(more.bytes);
    await expectBackup(extended, more, node.data);
    taken.push([to, whole]);
  }
  tellers.stop();
  await load;
  for (const [to, told] of taken) await expectBackup(to, told, node.data);

  // At rest there is nothing that a backup could lack.
  const { seq } = await node.client.ledger();
  const last = await backUp(node.data, extended);
  expect(last.events).toBe(seq);
  const restored = await CofferNode.start(extended);
  const { balances } = replayIndependently(logOf(node.data));
  for (const account of ["@world", ...tellers.accounts]) {
    const { status, body } = await restored.client.get(`/v1/wallet/balance/${account}`);
    const expected = balances.get(`${account},USD`)?.available;
    expect([account, status, status === 200 ? BigInt(body.balance) : undefined]).toEqual([
      account,
      expected === undefined ? 404 : 200,
      expected,
    ]);
  }
  expect((await restored.client.deposit("alice", 5)).body.to_balance).toBe(5);
  expect(await restored.stop()).toBe(0);
  expect(await node.stop()).toBe(0);
  expect((await coffer(["verify", "--data", extended])).code).toBe(0);
  expect(tellers.problems(logOf(node.data))).toEqual([]);
  // Two nodes of one name would pass for one.
  expect(readFileSync(join(extended, "node"), "utf8")).not.toBe(
    readFileSync(join(node.data, "node"), "utf8"),
  );
});

test("a further node of an outside queue starts from a backup, and comes to the same log", async () => {
  const nats = await NatsServer.start(temporaryFolder());
  const flags = ["--nats-url", nats.url];
  const node = await CofferNode.start(temporaryFolder(), { flags });
  const tellers = new Tellers(randomIntegers(SEED + 1));
  await tellers.work(node.client, 300, 8);
  const load = tellers.work(node.client, 1_500, 8);
  const to = join(temporaryFolder(), "to");
  const told = await backUp(node.data, to);
  const further = await CofferNode.start(to, { flags });
  await load;
  const { seq } = await node.client.ledger();
  expect(seq).toBeGreaterThan(told.events);
  await eventually("it has come up", async () => (await further.client.ledger()).seq === seq);
  for (const each of [node, further]) expect(await each.stop()).toBe(0);
  expect(readFileSync(logOf(to)).equals(readFileSync(logOf(node.data)))).toBe(true);
  expect(tellers.problems(logOf(to))).toEqual([]);
  await nats.stop();
});

test.each(RUNTIME_NAMES)("under %s: a backup of a stopped ledger, and one without news", async (runtime) => {
  const to = join(temporaryFolder(), "new", "folder");
  const told = await backUp(small, to, runtime);
  await expectBackup(to, told, small);
  expect(readdirSync(to).sort()).toEqual(["events.log", "events.mark", "events.seals", "lock"]);
  expect((await backUp(small, to, runtime)).copied_bytes).toBe(0);
  const { code, stdout } = await coffer(["backup", "--data", small, "--to", to], runtime);
  expect(code).toBe(0);
  expect(stdout).toMatch(new RegExp(`^events +${told.events}$`, "m"));
  expect(stdout).toMatch(/^crc +[0-9a-f]{8}$/m);
});

test("a torn end is not copied, and bytes behind the mark that are whole are", async () => {
  const data = copyOf(small);
  const whole = readFileSync(logOf(data));
  appendFileSync(logOf(data), '{"seq":99,"type":"Mon');
  const to = join(temporaryFolder(), "to");
  const told = await backUp(data, to);
  expect(readFileSync(logOf(to)).equals(whole)).toBe(true);
  rmSync(join(data, "events.mark"));
  expect(await backUp(data, join(temporaryFolder(), "to"))).toMatchObject({ events: told.events });
});

test("seals are copied up to the log's end, in whole lines, and extended", async () => {
  const data = copyOf(small);
  const seals = join(data, "events.seals");
  const to = join(temporaryFolder(), "to");
  const sealsOf = () => readFileSync(join(to, "events.seals"), "latin1");
  writeFileSync(seals, '{"seal":1}\n{"seal":2}\n{"se');
  await backUp(data, to);
  expect(sealsOf()).toBe('{"seal":1}\n{"seal":2}\n');
  appendFileSync(join(to, "events.seals"), '{"sea'); // as an interrupted backup leaves it
  await backUp(data, to);
  expect(sealsOf()).toBe('{"seal":1}\n{"seal":2}\n');
  writeFileSync(seals, '{"seal":1}\n{"seal":2}\n{"seal":3}\n');
  await backUp(data, to);
  expect(sealsOf()).toBe('{"seal":1}\n{"seal":2}\n{"seal":3}\n');
});

describe("SIGKILL of a backup", () => {
  const MOMENTS = 8;
  const [executable] = RUNTIMES["the compiled executable"];

  /** Kills it at one moment of its work after the other; `check` is called each time. */
  async function kill(to: string, check: () => Promise<void>): Promise<void> {
    const startedMs = performance.now();
    await backUp(large, join(temporaryFolder(), "measured"));
    const wholeMs = performance.now() - startedMs;
    for (let moment = 1; moment <= MOMENTS; moment++) {
      const child = new TestProcess(executable, ["backup", "--data", large, "--to", to]);
      await new Promise((resolve) => setTimeout(resolve, (wholeMs * moment) / MOMENTS));
      await child.crash();
      await check();
    }
  }

  test("leaves no backup, or a whole one; the next one clears up", async () => {
    const to = join(temporaryFolder(), "to");
    let unfinished = 0;
    await kill(to, async () => {
      if (existsSync(to)) {
        expect((await coffer(["verify", "--data", to])).code).toBe(0);
        rmSync(to, { recursive: true });
      } else if (existsSync(`${to}.unfinished`)) unfinished++;
    });
    expect(unfinished).toBeGreaterThan(0);
    const told = await backUp(large, to);
    expect(told.copied_bytes).toBe(told.bytes);
    await expectBackup(to, told, large);
    expect(existsSync(`${to}.unfinished`)).toBe(false);
  });

  test("leaves an earlier backup good for a node, and the next one makes it whole", async () => {
    const folder = temporaryFolder();
    const earlier = join(folder, "earlier");
    const to = join(folder, "to");
    await backUp(prefixOf(large, 3), earlier);
    const { events } = await replay(earlier);
    cpSync(earlier, to, { recursive: true });
    const longer = join(folder, "longer");
    await kill(to, async () => {
      expect((await replay(to)).events).toBeGreaterThanOrEqual(events);
      if (readFileSync(logOf(to)).length > readFileSync(logOf(earlier)).length)
        cpSync(to, longer, { recursive: true });
      rmSync(to, { recursive: true });
      cpSync(earlier, to, { recursive: true });
    });
    const node = await CofferNode.start(longer);
    expect((await node.client.ledger()).totals[0].sum).toBe(0);
    expect(await node.stop()).toBe(0);
    expect((await coffer(["verify", "--data", longer])).code).toBe(0);
    const told = await backUp(large, to);
    expect(told.copied_bytes).toBeLessThan(told.bytes);
    await expectBackup(to, told, large);
  });
});

/** A folder whose log is the first `commands` of a ledger's. */
function prefixOf(ledger: string, commands: number): string {
  const data = temporaryFolder();
  const lines = readFileSync(logOf(ledger), "latin1").split("\n");
  const last = lines.findIndex((line, at) => line.includes('"crc"') && linesWithCrc(lines, at) === commands);
  writeFileSync(logOf(data), `${lines.slice(0, last + 1).join("\n")}\n`, "latin1");
  return data;
}

function linesWithCrc(lines: readonly string[], until: number): number {
  return lines.slice(0, until + 1).filter((line) => line.includes('"crc"')).length;
}

describe("a damaged log", () => {
  /** Changes a digit in the middle of a log; returns the line. */
  function damage(log: string): number {
    const text = readFileSync(log, "latin1");
    const at = text.indexOf('"amount":', text.length / 2) + '"amount":'.length;
    writeFileSync(log, `${text.slice(0, at)}${text[at] === "1" ? "2" : "1"}${text.slice(at + 1)}`, "latin1");
    return text.slice(0, at).split("\n").length;
  }

  test("makes no backup: exit 1, with the line", async () => {
    const data = copyOf(large);
    const line = damage(logOf(data));
    const to = join(temporaryFolder(), "to");
    const { code, stdout, stderr } = await coffer(["backup", "--data", data, "--to", to]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(Number(/: line ([0-9]+), byte [0-9]+: expected /.exec(stderr)?.[1])).toBeOneOf([line, line + 1]);
    expect([existsSync(to), existsSync(`${to}.unfinished`)]).toEqual([false, false]);
  });

  test("leaves an earlier backup as it was", async () => {
    const to = join(temporaryFolder(), "to");
    await backUp(prefixOf(large, 5), to);
    const before = contentsOf(to);
    const data = copyOf(large);
    damage(logOf(data));
    expect((await coffer(["backup", "--data", data, "--to", to])).code).toBe(1);
    expect(contentsOf(to)).toEqual(before);
  });

  test("that is shorter than its mark makes none either", async () => {
    const data = copyOf(small);
    truncateSync(logOf(data), 0);
    const { code, stderr } = await coffer(["backup", "--data", data, "--to", join(temporaryFolder(), "to")]);
    expect([code, stderr]).toEqual([1, expect.stringContaining("acknowledged commands are missing")]);
  });
});

test("a disk that fills up makes no backup, and leaves an earlier one as it was", async () => {
  const disk = await SmallDisk.mount("1m");
  const to = join(disk.folder, "to");
  const full = await coffer(["backup", "--data", large, "--to", to]);
  expect([full.code, full.stderr.split("\n").length]).toEqual([1, 1]);
  expect(full.stderr).toContain("ENOSPC");
  expect(readdirSync(disk.folder)).toEqual([]);
  await backUp(prefixOf(large, 5), to);
  const before = contentsOf(to);
  expect((await coffer(["backup", "--data", large, "--to", to])).stderr).toContain("ENOSPC");
  expect(contentsOf(to)).toEqual(before);
});

test("a mount point is refused before anything is copied, and a folder below it is not", async () => {
  const disk = await SmallDisk.mount("64m");
  const { code, stdout, stderr } = await coffer(["backup", "--data", small, "--to", disk.folder]);
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toStartWith(`coffer backup: ${disk.folder} `);
  expect(stderr).toEndWith("specify a directory below it");
  expect(readdirSync(dirname(disk.folder))).toEqual(["disk"]);
  await backUp(small, join(disk.folder, "to"));
});

test("a folder that is mounted on itself is refused as well, before anything is copied", async () => {
  const to = join(temporaryFolder(), "a mount \\ größe");
  mkdirSync(to);
  const [executable] = RUNTIMES["the compiled executable"];
  const namespace = process.getuid?.() === 0 ? ["-m"] : ["-r", "-m"];
  const script = 'mount --bind "$3" "$3" && exec "$1" backup --data "$2" --to "$3"';
  const child = new TestProcess("unshare", [
    ...namespace,
    "bash",
    "-c",
    script,
    "bash",
    executable,
    small,
    to,
  ]);
  expect(await child.exited).toBe(1);
  expect(child.stderr).toEqual([`coffer backup: ${to} is a mount point: specify a directory below it`]);
  expect(readdirSync(dirname(to))).toEqual([basename(to)]);
  await backUp(small, to);
});

describe("what must not be written over is refused, and left as it is:", () => {
  const targets: Readonly<Record<string, (data: string) => string | Promise<string>>> = {
    "the ledger's own folder": (data) => data,
    "a link to it": (data) => {
      const link = join(temporaryFolder(), "link");
      symlinkSync(data, link);
      return link;
    },
    "another folder with the log's own file": async (data) => {
      const to = temporaryFolder();
      for (const name of ["events.log", "events.mark"]) symlinkSync(join(data, name), join(to, name));
      return to;
    },
    "a folder with other things": () => {
      const to = temporaryFolder();
      writeFileSync(join(to, "notes"), "x");
      return to;
    },
    "a file": () => {
      const to = join(temporaryFolder(), "file");
      writeFileSync(to, "x");
      return to;
    },
    "a ledger that a node ran on": () => small,
    "a backup of another ledger": async () => {
      const to = join(temporaryFolder(), "to");
      await backUp(large, to);
      return to;
    },
    "a backup that is ahead": async (data) => {
      const to = join(temporaryFolder(), "to");
      await backUp(data, to);
      const [whole, mark] = [readFileSync(logOf(data), "latin1"), join(data, "events.mark")];
      writeFileSync(logOf(data), `${whole.split("\n").slice(0, 1).join("\n")}\n`, "latin1");
      rmSync(mark);
      return to;
    },
    "a backup that is damaged": async (data) => {
      const to = join(temporaryFolder(), "to");
      await backUp(data, to);
      truncateSync(logOf(to), 10);
      return to;
    },
    "a backup without its mark": async (data) => {
      const to = join(temporaryFolder(), "to");
      await backUp(data, to);
      rmSync(join(to, "events.mark"));
      return to;
    },
  };

  test.each(Object.keys(targets))("%s", async (name) => {
    const data = copyOf(small);
    const to = await targets[name]!(data);
    const look = () => [readFileSync(logOf(data), "latin1"), name === "a file" ? "" : contentsOf(to)];
    const before = look();
    const { code, stdout, stderr } = await coffer(["backup", "--data", data, "--to", to]);
    expect([code, stdout, stderr.split("\n").length]).toEqual([1, "", 1]);
    expect(stderr).toStartWith(`coffer backup: ${to}`);
    const [log, contents] = look();
    expect(log).toBe(before[0] as string);
    const withoutLock = (of: unknown) => JSON.stringify(of).replaceAll(/"[^"]*\/lock":"",?/g, "");
    expect(withoutLock(contents)).toBe(withoutLock(before[1]));
  });

  test("a folder that another backup is writing to", async () => {
    const to = join(temporaryFolder(), "to");
    mkdirSync(`${to}.unfinished`);
    writeFileSync(join(`${to}.unfinished`, "events.log"), "x");
    const other = new TestProcess("flock", [
      "--no-fork",
      join(`${to}.unfinished`, "lock"),
      "sleep",
      "infinity",
    ]);
    await eventually("it holds the lock", () => existsSync(join(`${to}.unfinished`, "lock")));
    const { code, stderr } = await coffer(["backup", "--data", small, "--to", to]);
    expect([code, stderr]).toEqual([1, `coffer backup: ${to}.unfinished is held by another process`]);
    expect(readFileSync(join(`${to}.unfinished`, "events.log"), "latin1")).toBe("x");
    await other.crash();
  });

  test("a folder without a ledger makes none", async () => {
    const data = temporaryFolder();
    const to = join(temporaryFolder(), "to");
    const nothing = await coffer(["backup", "--data", data, "--to", to]);
    expect([nothing.code, nothing.stderr]).toEqual([1, `coffer backup: ${logOf(data)} does not exist`]);
    writeFileSync(logOf(data), "");
    expect((await coffer(["backup", "--data", data, "--to", to])).code).toBe(1);
    expect(existsSync(to)).toBe(false);
    mkdirSync(to);
    expect((await coffer(["backup", "--data", data])).code).toBe(2);
  });
});
