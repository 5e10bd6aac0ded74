/** HTTPS, and what of certificates and keys is refused. */

import { beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { connect as connectTls, createServer as createTlsServer, type SecureVersion } from "node:tls";
import { addKey, CofferNode, coffer, RUNTIME_NAMES } from "../../tools/harness/coffer.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { contentsOf, temporaryFolder } from "../../tools/harness/folders.ts";
import { WalletClient } from "../../tools/harness/wallet-client.ts";
import { type Certificate, makeCertificate } from "../support/certificate.ts";
import { rawRequest } from "../support/raw-http.ts";

let certificate: Certificate;
let other: Certificate;

beforeAll(async () => {
  [certificate, other] = await Promise.all([makeCertificate(), makeCertificate()]);
});

const BEYOND_LOOPBACK = ["--host", "0.0.0.0"];
const HSTS = "strict-transport-security";

describe.each(RUNTIME_NAMES)("under %s", (runtime) => {
  test("with a certificate and keys the ledger is served by HTTPS on every address", async () => {
    const data = temporaryFolder();
    const key = await addKey(data, "all", "admin");
    const node = await CofferNode.start(data, { runtime, flags: [...BEYOND_LOOPBACK, ...certificate.flags] });
    expect(node.url).toStartWith("https://0.0.0.0:");
    const url = node.url.replace("0.0.0.0", "localhost");
    const ca = certificate.cert;
    const client = new WalletClient(url, { key, ca });
    expect((await client.deposit("alice", 5)).body.to_balance).toBe(5);
    expect(await client.balance("alice")).toBe(5);
    const refused = await new WalletClient(url, { ca }).get("/v1/ledger");
    expect(refused.status).toBe(401);
    for (const path of ["/v1/ledger", "/nothing", "/metrics", "/health/live"])
      expect((await client.get(path)).headers.get(HSTS)).toBe("max-age=31536000");
    expect(refused.headers.get(HSTS)).toBe("max-age=31536000");
    const untrusting = new WalletClient(url, { key });
    expect(await untrusting.get("/v1/ledger").catch(() => "not trusted")).toBe("not trusted");
    expect(await rawRequest(url, { method: "GET", target: "/health/live" })).toBeUndefined(); // no TLS
    const printed = node.process.stderr.join("\n");
    expect(printed).not.toContain("keys_in_clear_text");
    const secret = readFileSync(certificate.keyFile, "utf8").split("\n")[1] as string;
    expect(printed).not.toContain(secret);
    expect(await node.stop()).toBe(0);
    expect(await connects(new URL(url))).toBe(false);
  });

  test("at SIGHUP new connections get the renewed certificate, and no request is lost; a bad pair is refused", async () => {
    const folder = temporaryFolder();
    const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
    const install = (from: { certFile: string; keyFile: string }) => {
      copyFileSync(from.certFile, certFile);
      copyFileSync(from.keyFile, keyFile);
    };
    install(certificate);
    const threads = runtime === "Deno" ? "1" : "2";
    const node = await CofferNode.start(temporaryFolder(), {
      runtime,
      flags: ["--tls-cert", certFile, "--tls-key", keyFile, "--gateway-threads", threads],
    });
    const url = new URL(node.url);
    const trusting = new WalletClient(node.url, { ca: `${certificate.cert}\n${other.cert}` });
    let isOver = false;
    let deposits = 0;
    const working = Array.from({ length: 4 }, async () => {
      for (; !isOver; deposits++) expect((await trusting.deposit("alice", 1)).status).toBe(200);
    });
    const more = async () => {
      const enough = deposits + 50;
      await eventually("more were answered", () => deposits >= enough);
    };
    await more();
    install(other);
    writeFileSync(keyFile, readFileSync(certificate.keyFile));
    node.process.kill("SIGHUP");
    const [refused] = await node.process.line(/.*"certificate_refused".*/);
    expect(JSON.parse(refused).error).toStartWith("--tls-key does not match the first certificate");
    expect(await connects(url)).toBe(true);
    install(other);
    node.process.kill("SIGHUP");
    await node.process.line(/"certificate_renewed"/);
    for (let time = 0; time < 10; time++) {
      expect(await connects(url)).toBe(false);
      expect(await connects(url, undefined, other.cert)).toBe(true);
    }
    await more();
    isOver = true;
    await Promise.all(working);
    expect(await trusting.balance("alice")).toBe(deposits);
    expect(await node.stop()).toBe(0);
  });

  test("TLS before version 1.2 is refused", async () => {
    const node = await CofferNode.start(temporaryFolder(), { runtime, flags: certificate.flags });
    const url = new URL(node.url);
    const lax = createTlsServer({
      cert: certificate.cert,
      key: readFileSync(certificate.keyFile),
      minVersion: "TLSv1",
    }).listen(0, "127.0.0.1");
    await once(lax, "listening");
    const laxUrl = new URL(`https://127.0.0.1:${(lax.address() as AddressInfo).port}`);
    for (const version of ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] as const) {
      expect([version, await connects(laxUrl, version)]).toEqual([version, true]); // so the caller speaks it
      expect([version, await connects(url, version)]).toEqual([version, version >= "TLSv1.2"]);
    }
    lax.close();
    expect(await node.stop()).toBe(0);
  });

  test("keys beyond loopback without TLS are warned of", async () => {
    const data = temporaryFolder();
    await addKey(data, "all", "admin");
    const node = await CofferNode.start(data, { runtime, flags: BEYOND_LOOPBACK });
    expect(node.url).toStartWith("http://0.0.0.0:");
    await node.process.line(/"keys_in_clear_text"/);
    const answer = await node.client.get("/v1/ledger");
    expect([answer.status, answer.headers.get(HSTS)]).toEqual([401, null]);
    expect(await node.stop()).toBe(0);
  });

  test("a certificate without its key, or with another's, is refused by name", async () => {
    const file = (content: string) => {
      const path = join(temporaryFolder(), "file.pem");
      writeFileSync(path, content);
      return path;
    };
    const { certFile, keyFile } = certificate;
    const secret = readFileSync(keyFile, "utf8").split("\n")[1] as string;
    const wrong: readonly (readonly [cert: string | undefined, key: string | undefined, told: string])[] = [
      [certFile, undefined, "--tls-cert requires --tls-key"],
      [undefined, keyFile, "--tls-key requires --tls-cert"],
      [certFile, other.keyFile, "--tls-key does not match the first certificate in --tls-cert"],
      [certFile, certFile, "--tls-key must be"],
      [keyFile, keyFile, "--tls-cert must be"],
      [file(""), keyFile, "--tls-cert must be"],
      [certFile, file(`-----BEGIN PRIVATE KEY-----\n${secret}\n`), "--tls-key must be"],
      [join(temporaryFolder(), "missing"), keyFile, "--tls-cert"],
      [certFile, temporaryFolder(), "--tls-key"],
    ];
    for (const [cert, key, told] of wrong) {
      const data = temporaryFolder();
      const flags = [...(cert ? ["--tls-cert", cert] : []), ...(key ? ["--tls-key", key] : [])];
      const { code, stdout, stderr } = await coffer(["serve", "--data", data, ...flags], runtime);
      expect([told, code, stdout]).toEqual([told, 2, ""]);
      expect(stderr).toContain(told);
      expect(stderr.split("\n")).toHaveLength(1);
      expect(stderr).not.toContain(secret);
      expect(contentsOf(data)).toEqual({});
    }
  });
});

test("at SIGHUP a node without a certificate says that there is none, and goes on", async () => {
  const node = await CofferNode.start(temporaryFolder());
  node.process.kill("SIGHUP");
  await node.process.line(/"sighup_ignored"/);
  expect((await node.client.deposit("alice", 1)).status).toBe(200);
  expect(await node.stop()).toBe(0);
});

test("a host of any length is found by HTTPS", async () => {
  const node = await CofferNode.start(temporaryFolder(), { flags: certificate.flags });
  for (const host of ["a", "db", "db:1", "abc", "[::1]", "wallet.example.com"]) {
    const response = await fetch(`${node.url}/health/live?x=/`, {
      headers: { host },
      tls: { ca: certificate.cert },
    } as RequestInit);
    expect([host, response.status]).toEqual([host, 200]);
  }
  expect(await node.stop()).toBe(0);
});

/** Whether anyone listens there by TLS with a certificate of `ca`, of this version alone where it is given. */
function connects({ hostname, port }: URL, version?: SecureVersion, ca = certificate.cert): Promise<boolean> {
  const only = version && { minVersion: version, maxVersion: version };
  return new Promise((resolve) => {
    const options = { host: hostname, port: Number(port), ca, ...only };
    const socket = connectTls(options, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
