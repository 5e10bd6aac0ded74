import type { Outcome } from "../domain/outcomes.ts";

/** What a frame's commands came to, in their order. */
export interface FrameOutcome {
  /** Of the gateway that wrote the frame, 32 hex digits. */
  readonly origin: string;
  readonly number: number;
  readonly outcomes: readonly Outcome[];
}

/** What a gateway hears of its frames. */
export interface Outcomes {
  subscribe(listener: (outcome: FrameOutcome) => void): void;
}
