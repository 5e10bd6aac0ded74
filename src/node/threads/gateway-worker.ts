/** A gateway on a thread of its own: HTTP, and the link to the engine's thread. Started by gateway-thread.ts. */

import process from "node:process";
import { parentPort, workerData } from "node:worker_threads";
import { v7 } from "uuid";
import type { TransactionId } from "../../domain/names.ts";
import { createHttp } from "../../gateway/http.ts";
import { KeyRing } from "../../keys/key-ring.ts";
import { GatewayMeasures } from "../../metrics/gateway-measures.ts";
import { watchLoop } from "../../metrics/loop-lag.ts";
import { loadRuntime } from "../../runtime/load.ts";
import { CannotListen, type HttpServer } from "../../runtime/runtime.ts";
import { systemClock } from "../../runtime/system-clock.ts";
import { GatewayNode } from "../gateway-node.ts";
import type { FromThread, GatewayThreadData, TlsStep, ToThread } from "./gateway-thread.ts";

if (!parentPort) throw new TypeError("a gateway thread can only be started by coffer serve");
const parent = parentPort;
const { origin, answered, address, keys, bodies, settings, ...shared } = workerData as GatewayThreadData;
const answeredSeq = new BigInt64Array(answered);
const ring = new KeyRing(keys);
const measures = new GatewayMeasures(shared.measures);
let server: HttpServer | undefined;
let isLeaving = false;

const gateway = new GatewayNode(
  {
    port: {
      post: tell,
      onMessage: (receive) =>
        parent.on("message", (message: ToThread) => {
          if (isTlsStep(message)) tell({ type: "tls_done", ...takeTlsStep(message) });
          else if (message.type === "leave") isLeaving = true;
          else receive(message);
        }),
    },
    clock: systemClock,
    origin,
    newTransactionId: () => v7() as TransactionId,
    answeredSeq: seqOnDisk,
    keysChanged: (changed) => ring.take(changed),
    stopAccepting: async () => await server?.stop(),
    cut: async () => await server?.cut(),
  },
  settings,
);
const runtime = await loadRuntime();
const http = createHttp(gateway.wallet, {
  callers: ring,
  secure: address.tls !== undefined,
  ...bodies,
  unready: () => gateway.unready() ?? (isLeaving ? "the node is shutting down" : undefined),
  isHttp10: (request) => runtime.isHttp10(request),
  failed: (error) => gateway.failedRequest(error),
  read: (answer) => gateway.read(answer),
  metrics: () => gateway.metrics(),
  measure: (path) => measures.of(path),
  newestSeal: () => gateway.newestSeal,
});
watchLoop(systemClock, measures.loopLag, () =>
  measures.tell({
    waitingCommands: gateway.waiting,
    readModelLag: Math.max(0, seqOnDisk() - gateway.balances.seq),
    heapBytes: process.memoryUsage().heapUsed,
    connections: server?.connections ?? 0,
    full: server?.full ? 1 : 0,
  }),
);
try {
  server = await runtime.serve(http, address);
  tell({ type: "listening", port: server.port });
} catch (error) {
  if (!(error instanceof CannotListen)) throw error;
  tell({ type: "cannot_listen", why: error.why });
}

function seqOnDisk(): number {
  return Number(Atomics.load(answeredSeq, 0));
}

function isTlsStep(message: ToThread): message is TlsStep {
  return ["tls_renew", "tls_steer", "tls_retire"].includes(message.type);
}

function takeTlsStep(step: TlsStep): { readonly besideOld: boolean; readonly why: string | undefined } {
  if (!server) return { besideOld: false, why: "HTTP is not being served yet" };
  const { tls } = server;
  const { besideOld } = tls;
  try {
    if (step.type === "tls_renew") tls.renew(step.tls);
    else if (step.type === "tls_steer") tls.steer(step.first, step.count);
    else tls.retire();
    return { besideOld, why: undefined };
  } catch (error) {
    return { besideOld, why: error instanceof Error ? error.message : String(error) };
  }
}

function tell(message: FromThread, handedOver: ArrayBuffer[] = []): void {
  parent.postMessage(message, handedOver);
}
