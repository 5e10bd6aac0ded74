/** Child processes of tests: started, listened to, and ended by their process id. */

import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

export const ROOT = join(import.meta.dir, "..", "..");

const running = new Set<TestProcess>();

export class TestProcess {
  readonly stdout: string[] = [];
  readonly stderr: string[] = [];
  /** Resolves with the exit code, or the signal's name. */
  readonly exited: Promise<number | string>;
  readonly #child: ChildProcess;
  #listeners: (() => void)[] = [];

  constructor(
    command: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    folder = ROOT,
  ) {
    this.#child = spawn(command, args, {
      cwd: folder,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    running.add(this);
    for (const [stream, lines] of [
      [this.#child.stdout, this.stdout],
      [this.#child.stderr, this.stderr],
    ] as const) {
      if (!stream) throw new Error("the child has no output");
      createInterface({ input: stream }).on("line", (line) => {
        lines.push(line);
        this.#changed();
      });
    }
    this.exited = new Promise((resolve) => {
      this.#child.once("error", (error) => {
        running.delete(this);
        resolve(error.message);
        this.#changed();
      });
      this.#child.once("close", (code, signal) => {
        running.delete(this);
        resolve(signal ?? code ?? "no code");
        this.#changed();
      });
    });
  }

  #changed(): void {
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const listener of listeners) listener();
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The first line of stdout or stderr that fits; throws where the process ends without one. */
  async line(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      for (const line of [...this.stdout, ...this.stderr]) {
        const match = pattern.exec(line);
        if (match) return match;
      }
      if (!running.has(this))
        throw new Error(`no line like ${pattern} in:\n${[...this.stdout, ...this.stderr].join("\n")}`);
      await new Promise<void>((resolve) => {
        this.#listeners.push(resolve);
      });
    }
  }

  /** Ends it with SIGTERM; returns the exit code. */
  async stop(): Promise<number | string> {
    this.kill("SIGTERM");
    return await this.exited;
  }

  /** Ends it at once. */
  async crash(): Promise<void> {
    this.kill("SIGKILL");
    await this.exited;
  }
}

/** Ends every process that is still running. */
export async function endTestProcesses(): Promise<void> {
  await Promise.all([...running].map((child) => child.crash()));
}

/** Whether a process runs. One that has ended does not, even where nobody has asked for its exit code yet. */
export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return !["Z", "X"].includes(stat[stat.lastIndexOf(")") + 2] ?? "");
  } catch {
    return false;
  }
}
