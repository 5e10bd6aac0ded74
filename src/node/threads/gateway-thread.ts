/** The engine's view of a gateway on a thread of its own. */

import type { BodyLimits } from "../../gateway/bodies.ts";
import type { KeysInForce } from "../../ports/keys.ts";
import type { Port, ToEngine, ToGateway } from "../../ports/link.ts";
import { CannotListen, type HttpAddress, type TlsPair } from "../../runtime/runtime.ts";
import { Thread } from "../../runtime/thread.ts";
import type { GatewaySettings } from "../gateway-node.ts";

/** The program of its thread, relative to main.ts. */
export const GATEWAY_WORKER = "./node/threads/gateway-worker.ts";

/** What a gateway's thread is started with. */
export interface GatewayThreadData {
  /** 128 random bits. */
  readonly origin: Uint8Array;
  /** An int64: the seq up to which gateways may have answered. */
  readonly answered: SharedArrayBuffer;
  /** What GatewayMeasures stand on. */
  readonly measures: SharedArrayBuffer;
  readonly address: HttpAddress;
  /** Who may call, until the link tells otherwise. */
  readonly keys: KeysInForce;
  readonly bodies: BodyLimits;
  readonly settings: GatewaySettings;
}

/** A step of a change of certificates (TlsRenewal); answered by "tls_done". */
export type TlsStep =
  | { readonly type: "tls_renew"; readonly tls: TlsPair }
  | { readonly type: "tls_steer"; readonly first: number; readonly count: number }
  | { readonly type: "tls_retire" };

export type ToThread =
  | ToGateway
  | TlsStep
  /** It is about to stop: not ready, though it serves on. */
  | { readonly type: "leave" };

export type FromThread =
  | ToEngine
  /** In the order of the steps. `why` it failed; undefined where it did not. */
  | { readonly type: "tls_done"; readonly besideOld: boolean; readonly why: string | undefined }
  | { readonly type: "listening"; readonly port: number }
  | { readonly type: "cannot_listen"; readonly why: string };

export class GatewayThread implements Port<ToGateway, ToEngine> {
  readonly #thread: Thread<ToThread, FromThread>;
  readonly #listening = Promise.withResolvers<number>();
  #receive: (message: ToEngine) => void = () => {};
  readonly #tlsSteps: ((done: Extract<FromThread, { readonly type: "tls_done" }>) => void)[] = [];

  /** `failed` hears of what the thread did not survive. */
  constructor(
    script: URL,
    private readonly data: GatewayThreadData,
    failed: (error: Error) => void,
  ) {
    this.#thread = new Thread(script, "a gateway", data, {
      message: (message) => this.#took(message),
      failed,
    });
    this.#listening.promise.catch(() => {}); // awaited by whoever starts the node
  }

  /** The HTTP port; rejects with CannotListen. */
  get listening(): Promise<number> {
    return this.#listening.promise;
  }

  post(message: ToGateway, handedOver: ArrayBuffer[] = []): void {
    this.#thread.post(message, handedOver);
  }

  onMessage(receive: (message: ToEngine) => void): void {
    this.#receive = receive;
  }

  /** It is about to stop: not ready, though it serves on. */
  leave(): void {
    this.#thread.post({ type: "leave" });
  }

  /** Takes a step of a change of certificates; returns whether others have to follow it. Rejects where it failed. */
  async tls(step: TlsStep): Promise<boolean> {
    this.#thread.post(step);
    const { besideOld, why } = await new Promise<Extract<FromThread, { readonly type: "tls_done" }>>(
      (resolve) => this.#tlsSteps.push(resolve),
    );
    if (why !== undefined) throw new Error(why);
    return besideOld;
  }

  async end(): Promise<void> {
    await this.#thread.end();
  }

  #took(message: FromThread): void {
    if (message.type === "listening") this.#listening.resolve(message.port);
    else if (message.type === "cannot_listen")
      this.#listening.reject(new CannotListen(this.data.address, message.why));
    else if (message.type === "tls_done") this.#tlsSteps.shift()?.(message);
    else this.#receive(message);
  }
}
