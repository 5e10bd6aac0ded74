/** What breaks in a simulated history, and when. */

import { LOG_NAME } from "../../src/eventlog/recovery.ts";
import { NO_DISK_FAULTS } from "./disk.ts";
import type { Operator } from "./operator.ts";
import type { SimulatedNode, World } from "./simulated-node.ts";
import { NO_SERVER_FAULTS } from "./stream.ts";

/** A disk is full for so long at most. */
const MAX_FULL_MS = 10_000;
/** So long at most an outside server stands still before somebody sees to it. */
const MAX_STANDSTILL_MS = 30_000;
/** Longer than a node may be ready without a decision. */
const LONG_STANDSTILL_MS = 20_000;

export class Faults {
  crashes = 0;
  #stopped = false;

  constructor(
    private readonly world: World,
    private readonly nodes: readonly SimulatedNode[],
    private readonly operator: Operator,
  ) {}

  /** Called before each step. */
  async maybeBreak(): Promise<void> {
    const { random, server } = this.world;
    for (const node of this.nodes) {
      if (node.process && !node.disk.isTaken && random.chance(0.004)) await this.#crash(node);
      if (node.process?.recovered && random.chance(0.0005)) this.#takeLog(node);
    }
    if (server.up && random.chance(0.004)) this.#crashServer(random.chance(0.5));
    if (server.up && server.state === "well" && random.chance(0.001)) this.#stopServer();
    if (random.chance(0.05)) server.sync();
    if (random.chance(0.002)) server.jumpClock();
    if (random.chance(0.01)) {
      const network = server.faults;
      network.lost = random.pick([0, 0, 0.01, 0.05]);
      network.doubled = random.pick([0, 0, 0.05, 0.2]);
      network.maxDelayMs = random.pick([1, 5, 50, 800]);
      network.refused = random.pick([0, 0, 0, 0.2]);
    }
    for (const node of this.nodes) {
      if (node.disk.isTaken || !random.chance(0.01)) continue;
      const disk = node.disk.faults;
      disk.shortWrite = random.pick([0, 0.1, 0.5]);
      disk.readFails = random.pick([0, 0, 0, 0.02]);
      disk.writeFails = random.pick([0, 0, 0, 0.02]);
      disk.syncFails = random.pick([0, 0, 0, 0.02]);
      disk.maxSyncMs = random.pick([0, 3, 40, 400]);
      if (this.nodes.length > 1) node.lagMs = random.pick([0, 0, 100, 1_000]);
      if (random.chance(0.05)) this.#fill(node);
    }
  }

  /** Nothing else is broken, but the server stores nothing for a while; returns until when. */
  standStill(): number {
    const { server, time } = this.world;
    if (server.state !== "well") return time.nowMs;
    this.world.say("the server is silent", {});
    server.state = "silent";
    time.after(this, LONG_STANDSTILL_MS, () => {
      if (server.state === "silent") server.state = "well";
    });
    return time.nowMs + LONG_STANDSTILL_MS;
  }

  /** Nothing is broken any more. What the node has to see to itself stays as it is. */
  end(): void {
    const { server, embedded } = this.world;
    this.#stopped = true;
    for (const node of this.nodes) {
      Object.assign(node.disk.faults, NO_DISK_FAULTS);
      node.lagMs = 0;
    }
    server.faults = { ...NO_SERVER_FAULTS };
    if (!server.up) server.restart();
    if (!embedded) server.state = "well";
  }

  /** It may be full at the next start still. */
  #fill({ disk: { faults } }: SimulatedNode): void {
    if (faults.full) return;
    const { random, time } = this.world;
    faults.full = true;
    time.after(this, random.between(1, MAX_FULL_MS), () => {
      faults.full = false;
    });
  }

  async #crash(node: SimulatedNode): Promise<void> {
    const { random, server, embedded, say } = this.world;
    this.crashes++;
    const machine = random.chance(0.6);
    say(machine ? `the machine of ${node.name} crashes` : `the process of ${node.name} crashes`, {});
    node.kill();
    if (machine) {
      node.disk.loseCache();
      if (embedded && server.up) this.#crashServer(true);
      if (random.chance(0.1)) this.#fill(node);
    }
    if (random.chance(0.3)) await node.flipABit();
    if (random.chance(0.2)) node.spoilASnapshot();
    this.operator.killed(node);
  }

  /** The log is deleted or replaced under its node, on a disk with nothing else wrong. */
  #takeLog({ disk, name }: SimulatedNode): void {
    const { random, say } = this.world;
    if (disk.isTaken) return;
    const copy = random.chance(0.5);
    say(`the log of ${name} is ${copy ? "replaced by a copy" : "deleted"}`, {});
    Object.assign(disk.faults, NO_DISK_FAULTS);
    disk.take(LOG_NAME, copy);
  }

  #crashServer(loseTail: boolean): void {
    const { random, server, time, embedded, say } = this.world;
    say("the server crashes", { loseTail });
    server.crash(loseTail, !embedded);
    if (loseTail && random.chance(0.1)) server.wipe();
    time.after(this, random.between(1, 3_000), () => server.restart());
  }

  /** The server lives, and stores nothing. Its node replaces it where it is its own. */
  #stopServer(): void {
    const { random, server, time, embedded, say } = this.world;
    const state = random.pick(["silent", "hung"] as const);
    say(`the server is ${state}`, {});
    server.state = state;
    if (embedded && random.chance(0.5)) return;
    time.after(this, random.between(1, MAX_STANDSTILL_MS), () => {
      if (!this.#stopped && server.state === state) server.state = "well";
    });
  }
}
