/** What is measured on the way of commands. It is only counted there: others make something of it when they are asked. */

/** Takes one measured value, in the unit that its name says; costs some nanoseconds. */
export interface Observer {
  observe(value: number): void;
}

/** Hears of an answer's status, and of when its request came (performance.now()). */
export type Answered = (status: number, startedMs: number) => void;

/** Of each batch that the engine executes. */
export interface BatchMeasures {
  readonly commands: Observer;
  /** Messages of the stream: frames, and what outside clients sent. */
  readonly messages: Observer;
  /** Executing it, without the disk. */
  readonly seconds: Observer;
}

/** Of each write to the log. */
export interface LogMeasures {
  readonly bytes: Observer;
  /** Write and sync together, until the engine's thread hears that they are done. */
  readonly seconds: Observer;
}
