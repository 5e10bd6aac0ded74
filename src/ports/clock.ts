/** Time, passed in, so that tests and the simulator can bring their own. */
export interface Clock {
  /** Milliseconds since 1970. */
  nowMs(): number;
  /** Calls `run` once after `delayMs`, unless the returned function is called before. */
  after(delayMs: number, run: () => void): () => void;
}
