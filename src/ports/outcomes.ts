import type { Outcome } from "../domain/outcomes.ts";

/** What a frame's commands came to, in their order. */
export interface FrameOutcome {
  /** Of the gateway that wrote the frame, 32 hex digits. */
  readonly origin: string;
  readonly number: number;
  readonly outcomes: readonly Outcome[];
}

/** Carries outcomes from the engine to the gateways; each gateway keeps those of its own origin. */
export interface Outcomes {
  publish(outcome: FrameOutcome): void;
  subscribe(listener: (outcome: FrameOutcome) => void): void;
}
