/** A thread of this process, as the one that starts it has it. Threads are started, watched and ended here alone. */

import { Worker } from "node:worker_threads";

export interface ThreadListener<Out> {
  message(message: Out): void;
  /** The thread has ended by itself, or is broken. Called once at most, and not after end(). */
  failed(error: Error): void;
}

export class Thread<In, Out> {
  readonly #worker: Worker;
  #over = false;
  #ended: Promise<unknown> | undefined;

  /** `name` is what errors call it; `data` its workerData. */
  constructor(
    script: URL,
    name: string,
    data: unknown,
    private readonly listener: ThreadListener<Out>,
  ) {
    this.#worker = new Worker(script, { workerData: data });
    this.#worker.on("message", (message: Out) => {
      if (!this.#over) listener.message(message);
    });
    this.#worker.on("error", (error: Error) => this.#fail(error));
    this.#worker.on("messageerror", (error: Error) => this.#fail(error));
    this.#worker.on("exit", (code) => this.#fail(new Error(`the thread ${name} exited with ${code}`)));
  }

  /** `handedOver` are buffers in the message that the caller gives away. Nothing is posted once it is over. */
  post(message: In, handedOver: ArrayBuffer[] = []): void {
    if (!this.#over) this.#worker.postMessage(message, handedOver);
  }

  async end(): Promise<void> {
    this.#over = true;
    this.#ended ??= this.#worker.terminate();
    await this.#ended;
  }

  #fail(error: Error): void {
    if (this.#over) return;
    this.#over = true;
    this.listener.failed(error);
  }
}
