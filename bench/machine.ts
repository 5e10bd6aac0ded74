/** What a run was made of and on. */

import { spawnSync } from "node:child_process";
import { statfsSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";
import { ROOT } from "../tools/harness/processes.ts";
import { BUSY_LOAD, NEEDED_BYTES } from "./settings.ts";

/** The type that statfs gives to a file system in memory. */
const TMPFS = 0x01021994;

export interface Machine {
  readonly commit: string;
  readonly day: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly bun: string;
  /** What makes the figures doubtful. */
  readonly warnings: readonly string[];
}

/** Looks before anything runs; throws where the disk is too small. */
export function lookAtMachine(folder: string): Machine {
  const [busy = 0] = loadavg();
  const disk = statfsSync(folder);
  if (disk.bavail * disk.bsize < NEEDED_BYTES)
    throw new Error(`${folder} needs ${NEEDED_BYTES / 2 ** 30} GiB of free space`);
  const warnings: string[] = [];
  if (busy > BUSY_LOAD)
    warnings.push(`the machine was busy before: a load of ${busy.toFixed(1)}; the rates are too low`);
  if (disk.type === TMPFS) warnings.push("the log is on a file system in memory: nothing of this is durable");
  const cpu = cpus();
  return {
    commit: commit(),
    day: new Date().toISOString().slice(0, 10),
    cpu: cpu[0]?.model ?? "unknown CPU",
    cores: cpu.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    bun: Bun.version,
    warnings,
  };
}

export function machineText(machine: Machine): string {
  const { commit, day, cpu, cores, memoryGiB, kernel, bun } = machine;
  return `commit ${commit}, ${day}: ${cpu}, ${cores} cores, ${memoryGiB} GiB, kernel ${kernel}, Bun ${bun}`;
}

function commit(): string {
  const git = (...args: string[]) => spawnSync("git", args, { cwd: ROOT, encoding: "utf8" }).stdout?.trim();
  const hash = git("rev-parse", "--short=12", "HEAD");
  if (!hash) return "unknown";
  // The results of the run before are no change of what is measured.
  const changed = git("status", "--porcelain", "--", ".", ":!bench/results.md", ":!bench/results.svg");
  return changed ? `${hash} with changes` : hash;
}
