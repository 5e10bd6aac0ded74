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
    name: "a payer may lack one cent, on the fast path",
    file: "domain/fast-transfer.ts",
    from: "left < amount",
    to: "left + 1 < amount",
  },
  {
    name: "a transfer on the fast path credits one cent less",
    file: "domain/fast-transfer.ts",
    from: "const sum = receiver.available + amount;",
    to: "const sum = receiver.available + amount - 1;",
  },
  {
    name: "the crc of the log is not looked at",
    file: "eventlog/reader.ts",
    from: "if (crc === stated) this.#commit",
    to: "if (crc >= 0) this.#commit",
    firstSeed: 118,
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
    firstSeed: 490,
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
    firstSeed: 755,
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
    from: "this.listener.committed?.(batch.position);\n          for (const link of this.#links) link.committed(batch);",
    to: "for (const link of this.#links) link.committed(batch);\n        this.parts.clock.after(5, () => this.listener.committed?.(batch.position));",
  },
  {
    name: "the parts of a split batch are joined in the wrong places",
    file: "gateway/command-sender.ts",
    from: "at += part.count;",
    to: "",
  },
  {
    name: "a repeat is reported as a first decision",
    file: "gateway/command-sender.ts",
    from: "ticket.outcomes[at + i] = outcomes[from++] as Outcome;",
    to: "ticket.outcomes[at + i] = { ...(outcomes[from++] as Outcome), replayed: false } as Outcome;",
  },
  {
    name: "a first decision is reported as a repeat",
    file: "gateway/command-sender.ts",
    from: "ticket.outcomes[at + i] = outcomes[from++] as Outcome;",
    to: "ticket.outcomes[at + i] = { ...(outcomes[from++] as Outcome), replayed: true } as Outcome;",
  },
  {
    name: "an error that leaves open whether a frame was stored is taken for a refusal",
    file: "queue/publish-errors.ts",
    from: 'STORE_LIMITS.has(description) ? "refused" : "unknown"',
    to: 'description !== "" ? "refused" : "unknown"',
    firstSeed: 97,
  },
  {
    name: "a queue that stores nothing is not noticed",
    file: "queue/store-watch.ts",
    from: "if (this.#unstoredTicks > STALL_TICKS)",
    to: "if (this.#unstoredTicks < 0)",
    firstSeed: 32,
  },
  {
    name: "a stream that reports its state counts as one that stores",
    file: "queue/store-watch.ts",
    from: "    this.#stream = stream;\n    this.#silentTicks = 0;",
    to: "    this.#stream = stream;\n    this.#silentTicks = 0;\n    this.#unstoredTicks = 0;",
    firstSeed: 25,
  },
  {
    name: "a server that hangs is not replaced",
    file: "queue/store-watch.ts",
    from: "* TICK_MS > HANG_MS) this.events.hangs();",
    to: "* TICK_MS > HANG_MS) return;",
    firstSeed: 26,
  },
  {
    name: "a stalled queue does not try again",
    file: "queue/store-watch.ts",
    from: "if (this.stalled || this.#refusal !== undefined) this.unsettled.probe(session);",
    to: "",
    firstSeed: 32,
  },
  {
    name: "a node goes on where the stream has lost what another one has logged",
    file: "queue/nats-queue.ts",
    from: "const beyond = nodeBeyond(positions, end);",
    to: "const beyond = nodeBeyond([], end);",
    firstSeed: 277,
  },
  {
    name: "a log whose file was deleted or replaced is written on",
    file: "eventlog/log-files.ts",
    from: "if (lost) throw lost;",
    to: "if (size < 0) throw lost;",
  },
  {
    name: "a log that was taken away is not copied",
    file: "eventlog/rescue.ts",
    from: "  if (!rescue) {",
    to: "  if (rescue) {",
  },
  {
    name: "each start on a full disk leaves a piece of the log",
    file: "eventlog/keep-bytes.ts",
    from: "    folder.remove(part);\n",
    to: "",
    firstSeed: 61,
  },
  {
    name: "a gateway is ready before the log is recovered",
    file: "node/gateway-node.ts",
    from: "if (!state.open) return state.reason;\n    return this.#balances.defaultCurrency ? undefined : NOT_OPEN;",
    to: "if (!state.open) return undefined;",
  },
  {
    name: "reads of a node that is not recovered answer in another way than its probe",
    file: "node/gateway-node.ts",
    from: 'return problem("not_ready", this.unready() ?? NOT_OPEN);',
    to: 'return problem("queue_unavailable", this.unready() ?? NOT_OPEN);',
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
