/** A certificate is changed under load: no connection is lost, and after the steps all of them get the new one. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect } from "node:tls";
import { bunRuntime } from "../../src/runtime/bun.ts";
import type { HttpServer, TlsPair } from "../../src/runtime/runtime.ts";
import { eventually } from "../../tools/harness/eventually.ts";
import { makeCertificate } from "../support/certificate.ts";

const LISTENERS = 3;

async function makePair(): Promise<TlsPair> {
  const { cert, keyFile } = await makeCertificate();
  return { cert, key: readFileSync(keyFile, "utf8") };
}

/** The certificate that a new connection gets, once a request on it was answered; what went wrong otherwise. */
function certificateOf(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false });
    let received = "";
    socket.on("secureConnect", () => socket.write("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"));
    socket.on("error", ({ message }) => resolve(message));
    socket.on("close", () => resolve("closed without an answer"));
    socket.on("data", (bytes) => {
      received += bytes;
      if (!received.endsWith("here")) return;
      resolve(socket.getPeerX509Certificate()?.toString() ?? "no certificate");
      socket.destroy();
    });
  });
}

const textOf = ({ cert }: TlsPair) => cert.replaceAll("\r", "").trim();

test("listeners that share a port change their certificate one after the other, twice", async () => {
  const handler = { fetch: () => new Response("here") };
  const pairs = [await makePair(), await makePair(), await makePair()] as const;
  const servers: HttpServer[] = [];
  let port = 0;
  for (let count = 0; count < LISTENERS; count++) {
    const address = { host: "127.0.0.1", port, shared: true, maxConnections: 1_000, tls: pairs[0] };
    const server = await bunRuntime.serve(handler, address);
    servers.push(server);
    port = server.port;
  }
  let isOver = false;
  let answered = 0;
  const strange: string[] = [];
  const known = pairs.map(textOf);
  const knocking = Array.from({ length: 8 }, async () => {
    while (!isOver) {
      const certificate = (await certificateOf(port)).trim();
      if (known.includes(certificate)) answered++;
      else strange.push(certificate);
    }
  });
  const more = async () => {
    const enough = answered + 50;
    await eventually("more were answered", () => answered >= enough);
  };
  await more();
  for (const pair of pairs.slice(1)) {
    for (const { tls } of servers) tls.renew(pair);
    servers[0]?.tls.steer(LISTENERS, LISTENERS);
    await more(); // whatever knocked before has got its answer
    for (const number of [2, 1, 0]) {
      servers[number]?.tls.steer(number + 1, LISTENERS - 1);
      servers[number]?.tls.retire();
      await more();
    }
    servers[0]?.tls.steer(0, LISTENERS);
    const after = await Promise.all(Array.from({ length: 20 }, () => certificateOf(port)));
    expect(new Set(after.map((certificate) => certificate.trim()))).toEqual(new Set([textOf(pair)]));
  }
  isOver = true;
  await Promise.all(knocking);
  expect(strange).toEqual([]);
  for (const server of servers) await server.cut();
});
