import process from "node:process";
import pino from "pino";
import { checkLease, readConfig } from "../config.ts";
import { NewerFormat } from "../eventlog/line.ts";
import { LostFile } from "../eventlog/log-files.ts";
import { DamagedLog } from "../eventlog/recovery.ts";
import { Host, SERVE_SETTINGS, textOf } from "../host.ts";
import { NodeRefused } from "../node.ts";
import { QueueRefused } from "../queue/nats-queue.ts";
import { loadRuntime } from "../runtime/load.ts";
import { CannotListen } from "../runtime/runtime.ts";
import { readAccess, warnOf } from "./access.ts";
import { type CliCommand, isExplained } from "./command.ts";

export const serve: CliCommand = {
  name: "serve",
  usage: "",
  help: "runs a node: HTTP in, events.log out",
  settings: SERVE_SETTINGS,
  async run(args, env, { workerScripts }) {
    const config = readConfig(SERVE_SETTINGS, args, env);
    checkLease(config);
    const access = readAccess(config);
    const stderr = pino.destination({ fd: 2, sync: true });
    const log = pino(
      { level: config.logLevel, base: null },
      { write: (line) => stderr.write(inAscii(line)) },
    );
    warnOf(access, config, log);
    const stop = stopSignal();
    const fail = (error: unknown) => {
      // At once, without finishing anything: what was not durable must not be answered.
      log.fatal({ error: isExpected(error) ? error.message : textOf(error) }, "the node stops");
      process.exit(1);
    };
    process.on("uncaughtException", fail);
    process.on("unhandledRejection", fail);
    try {
      const host = await Host.open(config, access, await loadRuntime(), workerScripts, log);
      const starting = host.start();
      starting.catch(() => {}); // raced below
      const started = await Promise.race([starting, host.failed, stop]);
      if (typeof started === "number") {
        console.log(
          `listening on ${access.tls ? "https" : "http"}://${config.host.includes(":") ? `[${config.host}]` : config.host}:${started}`,
        );
        await Promise.race([stop, host.failed]);
      }
      const forced = setTimeout(() => {
        log.error({ shutdownTimeoutMs: config.shutdownTimeoutMs }, "the stop took too long and is forced");
        host.abandon();
        process.exit(1);
      }, config.shutdownTimeoutMs);
      await Promise.race([host.stop(), host.failed]);
      clearTimeout(forced);
      log.info({}, "stopped");
      process.exit(0);
    } catch (error) {
      return fail(error);
    }
  },
};

/** JSON without anything that a reader may take for a line's end, or that turns a line around: U+2028, U+202E, … */
function inAscii(json: string): string {
  return json.replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function isExpected(error: unknown): error is Error {
  if (isExplained(error)) return true;
  return [NodeRefused, CannotListen, DamagedLog, LostFile, NewerFormat, QueueRefused].some(
    (kind) => error instanceof kind,
  );
}

/** Resolves at SIGTERM or SIGINT. */
function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => resolve(signal));
  });
}
