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
        `--host ${host} is not a loopback address, and ${data} has no ${KEYS_NAME}: create a key first, with ${add}`,
      );
    const lock = join(data, KEYS_LOCK_NAME);
    if (existsSync(lock))
      throw new WrongSetting(
        `${KEYS_NAME} is missing in ${data}, which has had keys, or whose first key was not completely created: restore it, or create a key with ${add}; remove ${lock} only if everyone on this machine may have full access`,
      );
  }
  return { keys, tls };
}

/** Tells what is open that need not be. */
export function warnOf({ keys, tls }: Access, { host, port }: ServeConfig, log: NodeLog): void {
  if (keys.inForce === "everyone")
    log.warn(
      { event: "no_keys", host, port },
      "no API keys are configured: anyone who can reach this address has full access",
    );
  if (keys.inForce !== "everyone" && !tls && !isLoopback(host))
    log.warn(
      { event: "keys_in_clear_text", host },
      "keys are sent in clear text: set --tls-cert and --tls-key, or allow only a TLS proxy to reach this address",
    );
}

/** Undefined for plain HTTP. Throws WrongSetting. */
export function readTls({ tlsCert, tlsKey }: Pick<ServeConfig, "tlsCert" | "tlsKey">): TlsPair | undefined {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined) throw new WrongSetting("--tls-key requires --tls-cert");
  if (tlsKey === undefined) throw new WrongSetting("--tls-cert requires --tls-key");
  const cert = read("--tls-cert", tlsCert);
  const key = read("--tls-key", tlsKey);
  const certificate = parsed("--tls-cert", "a certificate in PEM format", () => new X509Certificate(cert));
  const privateKey = parsed("--tls-key", "an unencrypted private key in PEM format", () =>
    createPrivateKey(key),
  );
  if (!certificate.checkPrivateKey(privateKey))
    throw new WrongSetting("--tls-key does not match the first certificate in --tls-cert");
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
