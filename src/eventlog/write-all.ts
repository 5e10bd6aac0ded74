import type { AppendFile } from "../ports/append-file.ts";

/** Writes all of `bytes` at `at`, in however many parts the file takes them. Throws where it takes none. */
export function writeAll(file: AppendFile, bytes: Uint8Array, at: number): void {
  for (let written = 0; written < bytes.length; ) {
    const taken = file.write(bytes.subarray(written), at + written);
    if (taken <= 0) throw new Error("the file accepts no more bytes");
    written += taken;
  }
}
