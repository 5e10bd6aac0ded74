/**
 * Lets the kernel refuse every way of syncing a file with EIO, in this process from now on: what still succeeds
 * has not synced. By seccomp (https://man7.org/linux/man-pages/man2/seccomp.2.html), on x86-64 and arm64.
 */

import { dlopen, ptr } from "bun:ffi";
import { constants } from "node:os";
import process from "node:process";

/** seccomp, and fsync, fdatasync, sync, syncfs, sync_file_range, msync. */
const CALLS: Readonly<Record<string, readonly [number, readonly number[]]>> = {
  x64: [317, [74, 75, 162, 306, 277, 26]],
  arm64: [277, [82, 83, 81, 267, 84, 227]],
};
const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP_SET_MODE_FILTER = 1;
const SECCOMP_FILTER_FLAG_TSYNC = 1; // all threads
const LOAD_NUMBER = [0x20, 0, 0, 0] as const;
const RETURN_ALLOW = [0x06, 0, 0, 0x7fff_0000] as const;
const RETURN_EIO = [0x06, 0, 0, 0x0005_0000 | constants.errno.EIO] as const;

export function refuseSyncs(): void {
  const [seccomp, syncs] = CALLS[process.arch] ?? [];
  if (seccomp === undefined || !syncs) throw new Error(`no numbers of system calls for ${process.arch}`);
  const compared = syncs.map((call, index) => [0x15, syncs.length - index, 0, call] as const);
  const program = [LOAD_NUMBER, ...compared, RETURN_ALLOW, RETURN_EIO];
  const filter = new DataView(new ArrayBuffer(8 * program.length));
  for (const [index, [code, ifTrue, ifFalse, value]] of program.entries()) {
    filter.setUint16(8 * index, code, true);
    filter.setUint8(8 * index + 2, ifTrue);
    filter.setUint8(8 * index + 3, ifFalse);
    filter.setUint32(8 * index + 4, value, true);
  }
  const header = new DataView(new ArrayBuffer(16));
  header.setUint16(0, program.length, true);
  header.setBigUint64(8, BigInt(ptr(filter.buffer as ArrayBuffer)), true);
  const { symbols } = dlopen("libc.so.6", {
    prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
    syscall: { args: ["i64", "u64", "u64", "ptr"], returns: "i64" },
  });
  const failed =
    symbols.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) !== 0 ||
    Number(
      symbols.syscall(
        seccomp,
        SECCOMP_SET_MODE_FILTER,
        SECCOMP_FILTER_FLAG_TSYNC,
        ptr(header.buffer as ArrayBuffer),
      ),
    ) !== 0;
  if (failed) throw new Error("the kernel does not take the filter");
}
