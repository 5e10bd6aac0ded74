/** Where the nats-server that a node carries is run from: data folders may be mounted noexec. */

import { expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { CofferNode, RUNTIME_NAMES, RUNTIMES } from "../../tools/harness/coffer.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { TestProcess } from "../../tools/harness/processes.ts";
import { SmallDisk } from "../support/small-disk.ts";

const NAMED = /^coffer-nats-[0-9a-f]+$/;

function serversIn(folder: string): string[] {
  return readdirSync(folder).filter((name) => NAMED.test(name));
}

test("a data folder that is mounted noexec serves, under every runtime", async () => {
  const disk = await SmallDisk.mount("64m");
  await disk.remount("noexec");
  for (const runtime of RUNTIME_NAMES) {
    const data = join(disk.folder, runtime.replaceAll(" ", "-"));
    const node = await CofferNode.start(data, { runtime });
    expect((await node.client.deposit("alice", 5)).status).toBe(200);
    expect(serversIn(join(data, "nats"))).toEqual([]);
    expect(await node.stop()).toBe(0);
  }
});

test("it is run from memory under its own name, with no descriptor of its node", async () => {
  const node = await CofferNode.start(temporaryFolder());
  const pid = await node.natsPid();
  expect(readlinkSync(`/proc/${pid}/exe`)).toContain("memfd:coffer-nats");
  expect(readFileSync(`/proc/${pid}/cmdline`, "latin1")).toStartWith("coffer-nats\0");
  expect(readFileSync(`/proc/${pid}/comm`, "latin1")).toBe("coffer-nats\n");
  const open = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  expect(open.filter((path) => /events|memfd|\/lock$/.test(path))).toEqual([]);
  expect(await node.stop()).toBe(0);
});

test("what earlier versions have left is removed, but for programs that run and what is not ours", async () => {
  const runtimeFolder = temporaryFolder();
  const data = temporaryFolder();
  const store = join(data, "nats");
  mkdirSync(store);
  for (const folder of [runtimeFolder, store])
    for (const name of [
      "coffer-nats-0123abcd",
      "coffer-nats-0123abcd.new",
      "coffer-nats-other",
      "coffer-nats",
    ])
      writeFileSync(join(folder, name), "old");
  mkdirSync(join(store, "coffer-nats-ab"));
  const used = join(runtimeFolder, "coffer-nats-ff");
  copyFileSync("/bin/sleep", used);
  chmodSync(used, 0o700);
  const running = new TestProcess(used, ["infinity"]);
  const node = await CofferNode.start(data, { env: { XDG_RUNTIME_DIR: runtimeFolder } });
  expect(readdirSync(runtimeFolder).sort()).toEqual(["coffer-nats", "coffer-nats-ff", "coffer-nats-other"]);
  expect(
    readdirSync(store)
      .filter((name) => name.startsWith("coffer-nats"))
      .sort(),
  ).toEqual(["coffer-nats", "coffer-nats-ab", "coffer-nats-other", "coffer-nats.lock"]);
  expect(await node.stop()).toBe(0);
  await running.crash();
});

/**
 * A node on a machine whose memory runs no programs, nor do the folders that are named in `noexec`. It dies with
 * the process that is returned.
 */
function launch(
  noexec: readonly string[],
  { data, runtimeFolder, temporary }: Record<"data" | "runtimeFolder" | "temporary", string>,
) {
  const [coffer] = RUNTIMES["the compiled executable"];
  const script = [
    "echo 2 > /proc/sys/vm/memfd_noexec",
    'for folder in $NOEXEC; do mount -t tmpfs -o noexec coffer "$folder"; done',
    `exec ${coffer} serve --data ${data} --port 0 --min-free-bytes 0`,
  ].join(" && ");
  return new TestProcess(
    "unshare",
    ["-m", "-p", "-f", "--mount-proc", "--kill-child", "bash", "-c", script],
    {
      NOEXEC: noexec.join(" "),
      XDG_RUNTIME_DIR: runtimeFolder,
      TMPDIR: temporary,
    },
  );
}

// Only root may say that memory runs no programs, and mount.
test.skipIf(process.getuid?.() !== 0)(
  "without memory it is run from the runtime folder, else from shared memory, a temporary or the data folder; else the node says why not",
  async () => {
    const folders = {
      data: temporaryFolder(),
      runtimeFolder: temporaryFolder(),
      temporary: temporaryFolder(),
    };
    const { data, runtimeFolder, temporary } = folders;
    const first = launch([], folders);
    await first.line(/^listening on/);
    expect(serversIn(runtimeFolder)).toHaveLength(1);
    await first.crash();
    const second = launch([runtimeFolder, "/dev/shm"], folders);
    await second.line(/^listening on/);
    expect(serversIn(temporary)).toHaveLength(1);
    await second.crash();
    const third = launch([runtimeFolder, "/dev/shm", temporary], folders);
    await third.line(/^listening on/);
    expect(serversIn(join(data, "nats"))).toHaveLength(1);
    await third.crash();
    const none = launch([runtimeFolder, "/dev/shm", temporary, data], folders);
    expect(await none.exited).toBe(1);
    expect(none.stderr.join("\n")).toMatch(/"node_failed"/);
    expect(none.stderr.join("\n")).toMatch(/nats-server cannot be run from anywhere .*noexec.*NATS_URL/);
  },
);
