/** What a caller gets, over HTTP or NATS. */
export interface Answer {
  readonly status: number;
  readonly body: string;
  /** The first outcome of a repeated id. */
  readonly replayed: boolean;
  /** In seconds; undefined where trying again does not help. */
  readonly retryAfter: number | undefined;
}
