/** The engine's side of a follower. An unexpected end of its thread is always reported, whatever the cause. */

import { unreachable } from "../domain/impossible-state.ts";
import type { LogPosition } from "../ports/log-position.ts";
import type { NodeLog } from "../ports/node-log.ts";
import { Thread } from "../runtime/thread.ts";
import type { FollowerKind, FollowerStart, FromFollower, ToFollower } from "./follower.ts";

export class FollowerThread<Settings, Progress> {
  readonly #thread: Thread<ToFollower, FromFollower<Progress>>;
  readonly #finished = Promise.withResolvers<void>();
  #stopping = false;
  #isFinished = false;
  #halted: string | undefined;
  /** As it was last reported. */
  progress: Progress;

  /** `progressed` is called with every progress that is reported. */
  constructor(
    readonly kind: FollowerKind<Settings, Progress>,
    script: URL,
    start: FollowerStart<Settings>,
    private readonly log: NodeLog,
    private readonly progressed: (progress: Progress) => void = () => {},
  ) {
    this.progress = kind.first(start.settings);
    this.#thread = new Thread(script, kind.name, start, {
      message: (message) => this.#took(message),
      failed: (error) => this.#halt(error.stack ?? error.message),
    });
  }

  /** Why it does nothing more before the next start; undefined while it does something. */
  get halted(): string | undefined {
    return this.#halted;
  }

  /** Resolves when it has finished or halted; never when it is ended before. */
  get finished(): Promise<void> {
    return this.#finished.promise;
  }

  /** The log on disk has grown. */
  grown(position: LogPosition): void {
    if (this.kind.upTo === "disk") this.#thread.post({ type: "durable", position });
  }

  /** Whether the node takes commands. */
  taking(taking: boolean): void {
    this.#thread.post({ type: "taking", taking });
  }

  /** Has it finish what is under way; resolves when that is done, or at once when it has halted. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#thread.post({ type: "stop" });
    await this.#finished.promise;
  }

  /** Ends its thread, whatever is under way. */
  async end(): Promise<void> {
    await this.#thread.end();
  }

  #took(message: FromFollower<Progress>): void {
    if (this.#isFinished && message.type !== "report") return;
    switch (message.type) {
      case "progress":
        this.progress = message.progress;
        this.progressed(message.progress);
        return;
      case "report":
        this.log[message.level](message.facts, message.message);
        return;
      case "halted":
        this.#halt(message.why);
        return;
      case "stopped":
        if (this.#stopping || this.kind.upTo === "start") this.#finish();
        else this.#halt("it finished while the node was running");
        return;
      default:
        unreachable(message);
    }
  }

  #halt(why: string): void {
    if (this.#isFinished) return;
    this.#halted = why;
    this.progress = this.kind.halted(this.progress, why);
    this.log.error({ event: "follower_halted", follower: this.kind.name, error: why }, this.kind.haltedLine);
    this.#finish();
  }

  #finish(): void {
    this.#isFinished = true;
    this.#finished.resolve();
    void this.#thread.end();
  }
}
