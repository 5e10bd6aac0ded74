/**
 * Two nodes on an external nats-server whose store is put back to an older copy: what one of them has logged since,
 * and acknowledged, the other has not. Neither goes on, whichever starts first, before somebody has decided.
 */

import { afterAll, expect, test } from "bun:test";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CofferNode, coffer } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { replayIndependently } from "../../tools/harness/independent-replay.ts";
import { NatsServer } from "../../tools/harness/nats.ts";

const ONLY_HERE = 15;

const ended: (() => Promise<unknown>)[] = [];
afterAll(() => Promise.all(ended.map((end) => end())));

const nameOf = (data: string) => readFileSync(join(data, "node"), "utf8").trim();
const logOf = (data: string) => readFileSync(join(data, "events.log"), "latin1");
const endOf = (data: string) => replayIndependently(join(data, "events.log")).lines.at(-1);

/** Two folders of one ledger; `ahead` has logged what the server will have lost, `late` has not. */
class Setting {
  readonly ahead = temporaryFolder();
  readonly late = temporaryFolder();
  #older = "";

  private constructor(public server: NatsServer) {
    ended.push(() => this.server.crash());
  }

  /** `late` is stopped, or only stands still, while `ahead` takes deposits. */
  static async start(keepLate = false) {
    const setting = new Setting(await NatsServer.start(temporaryFolder()));
    const ahead = await setting.node(setting.ahead);
    const late = await setting.node(setting.late);
    await ahead.process.line(/"queue_open"/);
    for (let count = 0; count < 5; count++) await ahead.client.deposit("alice", 1);
    await eventually("both have them", () => logOf(setting.ahead) === logOf(setting.late));
    if (keepLate) late.process.kill("SIGSTOP");
    else await late.stop();
    setting.#older = temporaryFolder();
    await setting.server.crash();
    cpSync(setting.server.folder, setting.#older, { recursive: true });
    setting.server = await setting.server.restart();
    const taken = async () => (await ahead.client.deposit("alice", 1)).status === 200;
    for (let count = 0; count < ONLY_HERE; count++) await eventually("it is acknowledged", taken);
    return { setting, nodes: { ahead, late } };
  }

  launch(data: string, ...flags: string[]): CofferNode {
    const node = CofferNode.launch(data, { flags: ["--nats-url", this.server.url, ...flags] });
    ended.push(() => node.crash());
    return node;
  }

  async node(data: string, ...flags: string[]): Promise<CofferNode> {
    const node = this.launch(data, ...flags);
    await node.ready();
    return node;
  }

  async loseTail(): Promise<void> {
    await this.server.crash();
    this.server = await this.server.restart(this.#older);
  }

  queue(...args: string[]) {
    return coffer(["queue", ...args, "--nats-url", this.server.url]);
  }

  async expectRefusal(node: CofferNode): Promise<void> {
    const isAhead = node.data === this.ahead;
    expect(await node.process.exited).toBe(1);
    const { event, error } = JSON.parse(node.process.stderr.at(-1) ?? "{}") as {
      event: string;
      error: string;
    };
    expect(event).toBe("node_failed");
    // It may hear a node that has gone on before it looks at the stream.
    if (isAhead) expect(error).toMatch(/--remake-lost-stream=[0-9]+ |: the logs differ$/);
    else expect(error).toContain(`coffer queue forget ${nameOf(this.ahead)} `);
  }
}

test.concurrent("a node that stood still while the server lost its tail is refused as it comes back", async () => {
  const { setting, nodes } = await Setting.start(true);
  const before = logOf(setting.late);
  await setting.loseTail();
  await setting.expectRefusal(nodes.ahead);
  nodes.late.process.kill("SIGCONT");
  await setting.expectRefusal(nodes.late);
  expect(logOf(setting.late)).toBe(before);
});

test.concurrent("a node that starts after the one with the longer log has stopped is refused, until that one is forgotten", async () => {
  const { setting, nodes } = await Setting.start();
  const before = logOf(setting.late);
  await setting.loseTail();
  await setting.expectRefusal(nodes.ahead);
  for (let time = 0; time < 2; time++) await setting.expectRefusal(setting.launch(setting.late));
  await setting.expectRefusal(
    setting.launch(setting.late, `--remake-lost-stream=${endOf(setting.late).seq}`),
  );
  expect(logOf(setting.late)).toBe(before);

  const ahead = nameOf(setting.ahead);
  const { stdout } = await setting.queue("nodes");
  const lineOf = (name: string) => stdout.split("\n").find((line) => line.startsWith(name)) ?? "";
  const [mark] = endOf(setting.ahead).command.split(".");
  expect(lineOf(ahead)).toMatch(
    new RegExp(` ${mark} +silent +has logged messages that the stream has lost$`),
  );
  expect(lineOf(nameOf(setting.late))).toMatch(/ silent$/);
  expect(stdout.split("\n").at(-1)).toMatch(
    /^the stream COFFER_COMMANDS starts at .* ends at [0-9]+; replicas: 1$/,
  );

  expect(await setting.queue("forget", ahead)).toMatchObject({ code: 0 });
  const late = await setting.node(setting.late);
  expect((await late.client.deposit("alice", 1)).status).toBe(200);
  // The other may be started again and again: it is refused, and stops nobody.
  await setting.expectRefusal(setting.launch(setting.ahead));
  expect((await late.client.deposit("alice", 1)).status).toBe(200);
  expect(await late.stop()).toBe(0);
});

test.concurrent("of two that start together neither goes on, until the longer log makes the stream again", async () => {
  const { setting, nodes } = await Setting.start();
  await nodes.ahead.stop();
  const before = logOf(setting.late);
  const { seq } = endOf(setting.ahead);
  await setting.loseTail();
  const late = setting.launch(setting.late);
  await late.process.line(/"log_recovered"/);
  const ahead = setting.launch(setting.ahead);
  await Promise.all([setting.expectRefusal(late), setting.expectRefusal(ahead)]);
  expect(logOf(setting.late)).toBe(before);

  expect(ahead.process.stderr.at(-1)).toContain(`--remake-lost-stream=${seq} `);
  const node = await setting.node(setting.ahead, `--remake-lost-stream=${seq}`);
  expect((await node.client.deposit("alice", 1)).body.to_balance).toBe(5 + ONLY_HERE + 1);
  // The other one lacks what the stream does not have any more.
  const lacking = setting.launch(setting.late);
  expect(await lacking.process.exited).toBe(1);
  expect(lacking.process.stderr.at(-1)).toContain("copy the log of another node");
  expect(await node.stop()).toBe(0);
});

test.concurrent("a node that starts alone says whom it does not hear, and stops when that one comes", async () => {
  const { setting, nodes } = await Setting.start();
  await nodes.ahead.stop();
  await setting.loseTail();
  const late = await setting.node(setting.late);
  const [line] = await late.process.line(/.*"nodes_silent".*/);
  expect(JSON.parse(line).nodes).toEqual([nameOf(setting.ahead)]);
  expect((await late.client.deposit("alice", 1)).status).toBe(200);
  await setting.expectRefusal(setting.launch(setting.ahead));
  await setting.expectRefusal(late);
});

test.concurrent("several nodes on a stream of one copy are warned of, once", async () => {
  const { setting, nodes } = await Setting.start();
  const warnings = ({ process }: CofferNode) =>
    process.stderr.filter((line) => line.includes('"stream_not_replicated"'));
  expect(warnings(nodes.late)).toHaveLength(1);
  expect(warnings(nodes.ahead)).toHaveLength(1); // at its reconnect: at first it was alone
  await setting.server.crash();
  setting.server = await setting.server.restart();
  await eventually("it is ready", async () => (await nodes.ahead.client.get("/health/ready")).status === 200);
  expect(warnings(nodes.ahead)).toHaveLength(1);
  expect(await nodes.ahead.stop()).toBe(0);
});
