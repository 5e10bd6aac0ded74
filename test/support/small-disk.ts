/**
 * A file system of its own for a test, of a size that the test chooses: a tmpfs in a mount namespace that a
 * child process holds, reached from outside through that process's root.
 */

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { TestProcess } from "../../tools/harness/processes.ts";

const MIB = new Uint8Array(1 << 20);

export class SmallDisk {
  private constructor(
    private readonly holder: TestProcess,
    private readonly mountPoint: string,
  ) {}

  /** `size` as mount takes it: 1m, 64k. */
  static async mount(size: string): Promise<SmallDisk> {
    const mountPoint = join(temporaryFolder(), "disk");
    mkdirSync(mountPoint);
    const namespace = process.getuid?.() === 0 ? ["-m"] : ["-r", "-m"];
    const script = 'mount -t tmpfs -o size="$1" coffer "$2" && echo mounted && exec sleep infinity';
    const holder = new TestProcess("unshare", [...namespace, "bash", "-c", script, "bash", size, mountPoint]);
    await holder.line(/^mounted$/);
    return new SmallDisk(holder, mountPoint);
  }

  /** The folder, for every process of this machine. */
  get folder(): string {
    return join(`/proc/${this.holder.pid}/root`, this.mountPoint);
  }

  /** Changes the mount: another size, or `ro`. */
  async remount(option: string): Promise<void> {
    const { pid } = this.holder;
    const remount = ["-t", String(pid), "-m", "mount", "-o", `remount,${option}`, this.mountPoint];
    const change = new TestProcess("nsenter", remount);
    const code = await change.exited;
    if (code !== 0) throw new Error(`remount exited ${code}: ${change.stderr.join("\n")}`);
  }
}

/** Takes all the room that a folder's disk has; returns what gives it back. */
export function fill(folder: string): () => void {
  const path = join(folder, "filler");
  for (let size = MIB.length; size >= 1; size >>= 1) {
    try {
      for (;;) writeFileSync(path, MIB.subarray(0, size), { flag: "a" });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    }
  }
  return () => rmSync(path);
}
