/**
 * Committed transfers that follow one another in the log, of safe integers in the ledger's default currency, as
 * their lines stand there: nothing of them is a string or an event. One object serves for all of them: it says
 * something else after the call that it was given to.
 */
export interface LoggedTransfers {
  readonly count: number;
  /** The event before the first one; each has two. */
  readonly seq: number;
  /** In here stand the names of payers and receivers. They are not checked yet. */
  readonly bytes: Uint8Array;
  /** Where the id of each begins, as text; it is checked. */
  readonly idAt: Int32Array;
  readonly payerAt: Int32Array;
  readonly payerEnd: Int32Array;
  readonly receiverAt: Int32Array;
  readonly receiverEnd: Int32Array;
  /** Above 0. */
  readonly amounts: Float64Array;
  /** The 16 bytes of each, as four big-endian integers. */
  readonly ids: Int32Array;
  /** Bytes and crc of the log up to the end of each. */
  readonly ends: Float64Array;
  readonly crcs: Uint32Array;
  /** Of each its time (ms since 1970), the stream's number of its message, and its index in it. */
  readonly ats: Float64Array;
  readonly sequences: Float64Array;
  readonly indexes: Float64Array;
}
