/**
 * What one end of a link has told and the other has not yet taken: a thread that hangs, or is late, must not
 * be told ever more. Each end says now and then how much it has taken.
 */

/** What may be told and not taken. */
export const MAX_UNTAKEN_BYTES = 1 << 26;
/** How much is taken before it is said; far less than MAX_UNTAKEN_BYTES, so that who is full hears of it. */
const SAID_BYTES = 1 << 22;

export class Backlog {
  #told = 0;
  #taken = 0;
  #saidByOther = 0;

  /** `say` tells the other end that so many bytes more of its were taken. */
  constructor(private readonly say: (bytes: number) => void) {}

  /** Whether the other end has so much to take that it must not be told more. */
  get full(): boolean {
    return this.#told - this.#saidByOther > MAX_UNTAKEN_BYTES;
  }

  /** How much the other end has said to have taken, ever. */
  get takenByOther(): number {
    return this.#saidByOther;
  }

  tell(bytes: number): void {
    this.#told += bytes;
  }

  take(bytes: number): void {
    this.#taken += bytes;
    if (this.#taken < SAID_BYTES) return;
    this.say(this.#taken);
    this.#taken = 0;
  }

  said(bytes: number): void {
    this.#saidByOther += bytes;
  }
}
