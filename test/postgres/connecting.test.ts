/** Connecting to PostgreSQL: what every failure names, and the forms in which a URL names a server. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { SqlError } from "../../src/ports/sql-connection.ts";
import { connectTo } from "../../src/runtime/bun-postgres.ts";
import { temporaryFolder } from "../../tools/harness/folders.ts";
import { freePort } from "../../tools/harness/nats.ts";
import { PostgresServer } from "../../tools/harness/postgres.ts";
import { makeCertificate } from "../support/certificate.ts";

const OPTIONS = { applicationName: "test", timeoutMs: 0 };
/** As tools/harness/postgres.ts makes every cluster. */
const USER = "coffer:throw-away";

let server: PostgresServer;
let sockets: string;

beforeAll(async () => {
  sockets = temporaryFolder();
  chmodSync(sockets, 0o777);
  const { certFile, keyFile } = await makeCertificate();
  const tls = ["ssl=on", `ssl_cert_file=${certFile}`, `ssl_key_file=${keyFile}`];
  server = await PostgresServer.start(
    temporaryFolder(),
    [`unix_socket_directories=${sockets}`, ...tls],
    undefined,
    [certFile, keyFile],
  );
});

afterAll(() => server.stop());

async function failureOf(url: string): Promise<{ readonly message: string; readonly state: unknown }> {
  const thrown = await connectTo(url)(OPTIONS).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(SqlError);
  const { message, state } = thrown as SqlError;
  for (const secret of ["throw-away", "s3cret"]) expect(message).not.toContain(secret);
  return { message, state };
}

async function answering(answer: (server: Server) => Server): Promise<number> {
  const other = answer(createServer());
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  other.unref();
  return (other.address() as { port: number }).port;
}

test("a port where nobody listens", async () => {
  const port = await freePort();
  const { message } = await failureOf(`postgres://${USER}@127.0.0.1:${port}/db`);
  expect(message).toBe(
    `cannot connect to PostgreSQL at 127.0.0.1:${port}: connect ECONNREFUSED 127.0.0.1:${port}`,
  );
});

test("a host that has no address", async () => {
  const { message } = await failureOf(`postgres://${USER}@no-such-host.invalid/db`);
  expect(message).toMatch(
    /^cannot connect to PostgreSQL at no-such-host\.invalid:5432: getaddrinfo (ENOTFOUND|EAI_AGAIN) no-such-host\.invalid$/,
  );
});

test("a wrong password, and a database that is not there", async () => {
  const at = `cannot connect to PostgreSQL at 127.0.0.1:${server.port}: `;
  expect(await failureOf(`postgres://coffer:s3cret@127.0.0.1:${server.port}/postgres`)).toEqual({
    message: `${at}password authentication failed for user "coffer"`,
    state: "28P01",
  });
  expect(await failureOf(`postgres://${USER}@127.0.0.1:${server.port}/nowhere`)).toEqual({
    message: `${at}database "nowhere" does not exist`,
    state: "3D000",
  });
});

test("a certificate that is not trusted", async () => {
  const url = `postgres://${USER}@127.0.0.1:${server.port}/postgres`;
  const { message } = await failureOf(`${url}?sslmode=verify-full`);
  expect(message).toMatch(
    new RegExp(
      `^cannot connect to PostgreSQL at 127\\.0\\.0\\.1:${server.port}: .*(self.signed|certificate)`,
      "i",
    ),
  );
});

test("a server that is no PostgreSQL, and one that is silent", async () => {
  const hangsUp = await answering((other) => other.on("connection", (socket) => socket.destroy()));
  const closed = await failureOf(`postgres://${USER}@127.0.0.1:${hangsUp}/db`);
  expect(closed.message).toContain(`127.0.0.1:${hangsUp}: Connection closed before`);
  const hears = await answering((other) => other);
  const silent = await failureOf(`postgres://${USER}@127.0.0.1:${hears}/db`);
  expect(silent.message).toContain(`127.0.0.1:${hears}: Connection timeout after 2s`);
});

test("a parameter that is wrong", async () => {
  const { message } = await failureOf(`postgres://${USER}@127.0.0.1/db?sslmode=no`);
  expect(message).toContain("'sslmode' must be one of");
});

test("a unix socket, in every form of its URL", async () => {
  const { port } = server;
  const folder = encodeURIComponent(sockets);
  for (const url of [
    `postgres:///postgres?host=${sockets}&port=${port}&user=coffer&password=throw-away`,
    `postgres://${USER}@/postgres?host=${folder}&port=${port}`,
    `postgres://${USER}@:${port}/postgres?host=${sockets}`,
    `postgres://${USER}@${folder}:${port}/postgres`,
    `postgres://${USER}@localhost:${port}/postgres?path=${sockets}`,
  ]) {
    const connection = await connectTo(url)(OPTIONS);
    const [row] = await connection.query("SELECT inet_server_addr() IS NULL AS by_socket");
    expect([url, row]).toEqual([url, { by_socket: true }]);
    await connection.close();
  }
});

test("a unix socket that is not there", async () => {
  const { message } = await failureOf(`postgres://${USER}@/db?host=${sockets}&port=1`);
  const socket = join(sockets, ".s.PGSQL.1");
  expect(message).toBe(`cannot connect to PostgreSQL at ${socket}: connect ENOENT ${socket}`);
});

test("the URL's database is meant, whatever the environment says", async () => {
  const url = await server.createDatabase();
  process.env.PGDATABASE = "another";
  try {
    const connection = await connectTo(url)(OPTIONS);
    const [row] = await connection.query("SELECT current_database() AS name");
    expect(row).toEqual({ name: "test_1" });
    await connection.close();
  } finally {
    delete process.env.PGDATABASE;
  }
});
