import { crc32 } from "node:zlib";

/** Where the rows of an account are. */
export function partitionOf(account: string, partitions: number): number {
  return crc32(account) % partitions;
}
