import { X509Certificate } from "node:crypto";
import process from "node:process";
import pino from "pino";
import { NewerFormat } from "../eventlog/line.ts";
import { LostFile } from "../eventlog/log-files.ts";
import { DamagedLog } from "../eventlog/recovery.ts";
import { Host, SERVE_SETTINGS, type ServeConfig, textOf } from "../node/host.ts";
import { NodeRefused } from "../node/ledger-node.ts";
import type { NodeLog } from "../ports/node-log.ts";
import { QueueRefused } from "../queue/nats-queue.ts";
import { loadRuntime } from "../runtime/load.ts";
import { CannotListen } from "../runtime/runtime.ts";
import { readAccess, readTls, warnOf } from "./access.ts";
import { type CliCommand, isExplained } from "./command.ts";
import { readConfig, removedVariables, WrongSetting } from "./read-config.ts";
import { VERSION } from "./version.ts";

export const serve: CliCommand = {
  name: "serve",
  usage: "",
  help: "runs a node: accepts transfers over HTTP and writes them to events.log",
  settings: SERVE_SETTINGS,
  async run(args, env, { script }) {
    const config = readConfig(SERVE_SETTINGS, args, env);
    const access = readAccess(config);
    const stderr = pino.destination({ fd: 2, sync: true });
    const log: NodeLog & { fatal: NodeLog["error"] } = pino(
      { level: config.logLevel, base: null },
      { write: (line) => stderr.write(inAscii(line)) },
    );
    const runtime = await loadRuntime();
    log.info(
      { event: "started", version: VERSION, pid: process.pid, runtime: `${runtime.name} ${runtime.version}` },
      "started",
    );
    for (const { variable, decides } of removedVariables(env))
      log.warn(
        { event: "setting_removed", variable, decides },
        "this setting was removed: its variable has no effect",
      );
    warnOf(access, config, log);
    const nextSignal = stopSignals();
    const stop = nextSignal();
    const fail = (error: unknown) => {
      // At once, without finishing anything: what was not durable must not be answered.
      log.fatal(
        { event: "node_failed", error: isExpected(error) ? error.message : textOf(error) },
        "the node has failed",
      );
      process.exit(1);
    };
    process.on("uncaughtException", fail);
    process.on("unhandledRejection", fail);
    try {
      const host = await Host.open(config, access, runtime, script, log);
      process.on("SIGHUP", () => void renewTls(config, host, log));
      const starting = host.start();
      starting.catch(() => {}); // raced below
      /** Serves on for a while, not ready, unless a second signal comes. */
      const drain = async (signal: string) => {
        const { drainDelayMs } = config;
        if (drainDelayMs === 0) return;
        host.leave();
        log.info(
          { event: "draining", signal, drainDelayMs },
          "not ready: still serving until the drain delay is over",
        );
        await Promise.race([after(drainDelayMs), nextSignal(), host.failed]);
      };
      const started = await Promise.race([starting, host.failed, stop]);
      if (typeof started === "number") {
        console.log(
          `listening on ${access.tls ? "https" : "http"}://${config.host.includes(":") ? `[${config.host}]` : config.host}:${started}`,
        );
        await drain(await Promise.race([stop, host.failed]));
      }
      const forced = setTimeout(() => {
        log.error(
          { event: "stop_forced", shutdownTimeoutMs: config.shutdownTimeoutMs },
          "the shutdown timed out and is forced",
        );
        host.abandon();
        process.exit(1);
      }, config.shutdownTimeoutMs);
      await Promise.race([host.stop({ signal: await stop }), host.failed]);
      clearTimeout(forced);
      log.info({ event: "stopped" }, "stopped");
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

/** What it returns resolves at the next SIGTERM or SIGINT. */
function stopSignals(): () => Promise<string> {
  let next = Promise.withResolvers<string>();
  for (const signal of ["SIGTERM", "SIGINT"] as const)
    process.on(signal, () => {
      next.resolve(signal);
      next = Promise.withResolvers();
    });
  return () => next.promise;
}

/** Reads certificate and key again. A bad pair is refused, and the old one served on. */
async function renewTls(config: ServeConfig, host: Host, log: NodeLog): Promise<void> {
  try {
    const tls = readTls(config);
    if (!tls) {
      log.info({ event: "sighup_ignored" }, "SIGHUP ignored: no certificate is configured");
      return;
    }
    await host.renewTls(tls);
    const { subject, validTo } = new X509Certificate(tls.cert);
    log.info(
      { event: "certificate_renewed", subject, validTo },
      "certificate renewed: new connections use it",
    );
  } catch (error) {
    log.error(
      { event: "certificate_refused", error: error instanceof WrongSetting ? error.message : textOf(error) },
      "the certificate was not renewed: the previous one stays in use",
    );
  }
}

function after(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}
