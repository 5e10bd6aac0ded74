/**
 * Bugs that the simulator has to find: each is a change of one place of src/, made in a copy. A place that
 * is not there any more is an error: the list has to follow the code.
 */

export interface PlantedBug {
  readonly name: string;
  /** Below src/. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** A seed shortly before one that shows it, to save time; 1 unless told. */
  readonly firstSeed?: number;
}

export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: "callers are answered before the sync",
    file: "engine/engine-loop.ts",
    from: "if (changes.length > 0) await this.log.commit();",
    to: "if (changes.length > 0) this.log.commit().catch(() => {});",
  },
  {
    name: "ids are not checked",
    file: "domain/execute.ts",
    from: "if (!view.opened || view.decided(command.transaction_id)) return NOTHING;",
    to: "if (!view.opened) return NOTHING;",
  },
  {
    name: "a payer may lack one cent",
    file: "domain/commands/movements.ts",
    from: "availableOf(view.balance(from_account, currency)) < amount",
    to: "availableOf(view.balance(from_account, currency)) < subtract(amount, 1 as never)",
  },
  {
    name: "a payer may lack one cent, on the short way",
    file: "domain/fast-transfer.ts",
    from: "left < amount",
    to: "left + 1 < amount",
  },
  {
    name: "a transfer on the short way credits one cent less",
    file: "domain/fast-transfer.ts",
    from: "const sum = receiver.available + amount;",
    to: "const sum = receiver.available + amount - 1;",
  },
  {
    name: "the crc of the log is not looked at",
    file: "eventlog/reader.ts",
    from: "if (crc === stated) this.#commit",
    to: "if (crc >= 0) this.#commit",
    firstSeed: 106,
  },
  {
    name: "recovery trusts the page cache",
    file: "eventlog/recovery.ts",
    from: "rewrite(file, Math.max(mark?.bytes ?? 0, snapshot?.position.bytes ?? 0), position.bytes);",
    to: "",
  },
  {
    name: "a failed sync is tried again",
    file: "eventlog/writer.ts",
    from: "await this.files.log.sync();",
    to: "await this.files.log.sync().catch(() => this.files.log.sync());",
  },
  {
    name: "a short write is not completed",
    file: "eventlog/write-all.ts",
    from: "written < bytes.length",
    to: "written === 0",
  },
  {
    name: "the mark runs ahead of the sync",
    file: "eventlog/writer.ts",
    from: "const position = this.#durable;",
    to: "const position = this.position;",
    firstSeed: 66,
  },
  {
    name: "the first mark comes only after the first commit",
    file: "node/ledger-node.ts",
    from: "await newMark.write(position);\n    await folder.sync();",
    to: "",
    firstSeed: 443,
  },
  {
    name: "a failed commit is not noticed",
    file: "engine/engine-loop.ts",
    from: "this.#committing.catch((error) => this.#broken.reject(error));",
    to: "this.#committing = this.#committing.catch(() => {});",
  },
  {
    name: "batches do not wait for the one before",
    file: "engine/engine-loop.ts",
    from: "      await this.#committing;\n      this.#committing = ",
    to: "      this.#committing = ",
  },
  {
    name: "time follows a clock that goes back",
    file: "engine/engine-loop.ts",
    from: "Math.max(at, this.log.position.at)",
    to: "at",
  },
  {
    name: "an id that comes with other content counts as a repeat",
    file: "domain/outcomes.ts",
    from: "if (decided.kind !== command.kind || !sameContent(decided, module.content(command)))",
    to: "if (decided.kind !== command.kind)",
  },
  {
    name: "a repeat is told another seq",
    file: "domain/apply.ts",
    from: "    reason,\n    seq,\n",
    to: "    reason,\n    seq: seq - 1,\n",
  },
  {
    name: "a stream that lost its tail is believed",
    file: "queue/stream-check.ts",
    from: "holdsLastKnown || known === 0",
    to: "known >= 0",
    firstSeed: 338,
  },
  {
    name: "a stream made anew uses a number twice",
    file: "queue/stream-check.ts",
    from: "  const next = known + 1;",
    to: "  const next = Math.max(1, known);",
  },
  {
    name: "a gateway shows what it has, whatever another has told",
    file: "node/gateway-node.ts",
    from: "if (this.#balances.seq >= seq) return answer();",
    to: "if (seq >= 0) return answer();",
  },
  {
    name: "outcomes come before the read model has what they tell of",
    file: "node/ledger-node.ts",
    from: "this.committed(batch.position);\n        for (const link of this.#links) link.committed(batch);",
    to: "for (const link of this.#links) link.committed(batch);\n        this.parts.clock.after(5, () => this.committed(batch.position));",
  },
  {
    name: "the parts of a split batch are joined in the wrong places",
    file: "gateway/command-sender.ts",
    from: "at += part.count;",
    to: "",
  },
  {
    name: "a snapshot is written before its place in the log is on disk",
    file: "engine/engine-loop.ts",
    from: "    if (changes.length > 0) await this.log.commit();\n    if (snapshot) this.snapshots?.write(snapshot);",
    to: "    if (snapshot) this.snapshots?.write(snapshot);\n    if (changes.length > 0) await this.log.commit();",
    firstSeed: 1_134,
  },
  {
    name: "what a snapshot counts is not checked",
    file: "snapshots/snapshot-files.ts",
    from: "  if (found !== crc) throw",
    to: "  if (found < 0) throw",
  },
  {
    name: "the lines before a snapshot are not checked",
    file: "eventlog/check-lines.ts",
    from: "  if (found) return",
    to: "  if (found) return undefined;\n  if (found) return",
  },
];
