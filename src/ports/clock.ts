/** Time, passed in, so that tests and the simulator can bring their own. */
export interface Clock {
  /** Milliseconds of a clock that never goes back; only differences mean something. */
  nowMs(): number;
  /** Calls `run` once after `delayMs`, unless the returned function is called before. */
  after(delayMs: number, run: () => void): () => void;
  /** Calls `run` at the end of this turn of the event loop. */
  soon(run: () => void): void;
}
