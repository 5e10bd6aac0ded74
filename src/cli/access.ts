/** Who may call a node, and over what, before it starts. */

import { createPrivateKey, X509Certificate } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isLoopback } from "../config.ts";
import { KEYS_LOCK_NAME, KEYS_NAME } from "../keys/key-file.ts";
import { KeyWatch } from "../keys/key-watch.ts";
import type { Access } from "../node/gateways.ts";
import type { ServeConfig } from "../node/host.ts";
import type { NodeLog } from "../ports/node-log.ts";
import type { TlsPair } from "../runtime/runtime.ts";
import { WrongSetting } from "./read-config.ts";

/** Throws WrongSetting, and BrokenKeyFile. */
export function readAccess(config: ServeConfig): Access {
  const tls = readTls(config);
  const keys = new KeyWatch(config.data);
  if (keys.inForce === "everyone") {
    const { host, data } = config;
    const add = `coffer keys add NAME --scope read|write|admin|metrics --data ${data}`;
    if (!isLoopback(host))
      throw new WrongSetting(
        `--host ${host} is not loopback, and ${data} has no ${KEYS_NAME}: make a key first, with ${add}`,
      );
    const lock = join(data, KEYS_LOCK_NAME);
    if (existsSync(lock))
      throw new WrongSetting(
        `${data} has had keys, or the making of its first one was interrupted, and has no ${KEYS_NAME}: put it back, or make a key (again) with ${add}; remove ${lock} only where everyone on this machine may do everything`,
      );
  }
  return { keys, tls };
}

/** Tells what is open that need not be. */
export function warnOf({ keys, tls }: Access, { host, port }: ServeConfig, log: NodeLog): void {
  if (keys.inForce === "everyone")
    log.warn({ host, port }, "no keys are asked for: whoever reaches this address may do everything");
  if (keys.inForce !== "everyone" && !tls && !isLoopback(host))
    log.warn(
      { host },
      "keys travel in clear text: set --tls-cert and --tls-key, or let only a proxy that has TLS reach this address",
    );
}

/** Undefined for plain HTTP. Throws WrongSetting. */
export function readTls({ tlsCert, tlsKey }: Pick<ServeConfig, "tlsCert" | "tlsKey">): TlsPair | undefined {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined) throw new WrongSetting("--tls-key needs --tls-cert");
  if (tlsKey === undefined) throw new WrongSetting("--tls-cert needs --tls-key");
  const cert = read("--tls-cert", tlsCert);
  const key = read("--tls-key", tlsKey);
  const certificate = parsed("--tls-cert", "a certificate as PEM", () => new X509Certificate(cert));
  const privateKey = parsed("--tls-key", "a private key as PEM, without a password", () =>
    createPrivateKey(key),
  );
  if (!certificate.checkPrivateKey(privateKey))
    throw new WrongSetting("--tls-key is not the key of the first certificate in --tls-cert");
  return { cert, key };
}

function read(flag: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new WrongSetting(`${flag} ${path} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
}

/** What a library says of a key must not be told: it may quote it. */
function parsed<T>(flag: string, what: string, parse: () => T): T {
  try {
    return parse();
  } catch {
    throw new WrongSetting(`${flag} must be a file with ${what}`);
  }
}
