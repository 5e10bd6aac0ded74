/** A real PostgreSQL: a throwaway cluster on a free port of loopback, made with the binaries that are installed. */

import { spawnSync } from "node:child_process";
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { SQL } from "bun";
import { eventually } from "./eventually.ts";
import { temporaryFolder } from "./folders.ts";
import { freePort } from "./nats.ts";
import { isRunning, ROOT, TestProcess } from "./processes.ts";

const OLDEST_MAJOR = 15;
const DEBIAN_ROOT = "/usr/lib/postgresql";
/** As whom a cluster runs where the tests run as root, which PostgreSQL refuses: the first that there is. */
const OTHER_USERS = ["postgres", "nobody"];
const OWNER = "coffer";
const PASSWORD = "throw-away";
const INITDB = ["-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"];

interface OtherUser {
  readonly uid: number;
  readonly gid: number;
}

const running = new Set<PostgresServer>();

/** Ends every cluster that is still running. A SIGKILL would leave its shared memory behind. */
export async function crashPostgresServers(): Promise<void> {
  await Promise.all([...running].map((server) => server.crash()));
}

export class PostgresServer {
  #databases = 0;

  private constructor(
    readonly port: number,
    private readonly data: string,
    private readonly settings: readonly string[],
    private process: TestProcess,
  ) {}

  /**
   * Makes a cluster in `folder` and starts it. `settings` are `name=value`, beyond PostgreSQL's own defaults,
   * which are kept: what is committed is on disk. `files`: those of them that it must be able to read.
   */
  static async start(
    folder = temporaryFolder(),
    settings: readonly string[] = [],
    port?: number,
    files: readonly string[] = [],
  ): Promise<PostgresServer> {
    const on = port ?? (await freePort());
    const data = join(folder, "postgres");
    await initialize(folder, data);
    handOver(files);
    const server = new PostgresServer(on, data, settings, launch(data, on, settings));
    await server.#ready();
    return server;
  }

  /** Of the database that every cluster has. */
  get url(): string {
    return this.#urlOf("postgres");
  }

  /** The postmaster's. */
  get pid(): number {
    return this.process.pid;
  }

  /** What it has logged since its last start. */
  get log(): readonly string[] {
    return this.process.stderr;
  }

  /** A new, empty database; returns its URL. */
  async createDatabase(): Promise<string> {
    const name = `test_${++this.#databases}`;
    const sql = new SQL({ url: this.url, max: 1 });
    try {
      await sql.unsafe(`CREATE DATABASE ${name}`);
    } finally {
      await sql.close();
    }
    return this.#urlOf(name);
  }

  /** Ends sessions, writes a checkpoint, and exits. */
  async stop(): Promise<void> {
    await this.#end("SIGINT");
  }

  /** Every process of it goes at once, without a checkpoint: the next start recovers as after a crash. */
  async crash(): Promise<void> {
    await this.#end("SIGQUIT");
  }

  /** Starts it again after stop() or crash(), on the same port. */
  async restart(): Promise<void> {
    if (isRunning(this.pid)) throw new Error("the cluster still runs");
    this.process = launch(this.data, this.port, this.settings);
    await this.#ready();
  }

  async #ready(): Promise<void> {
    running.add(this);
    await this.process.line(/database system is ready to accept connections/);
  }

  async #end(signal: "SIGINT" | "SIGQUIT"): Promise<void> {
    this.process.kill(signal);
    await this.process.exited;
    running.delete(this);
    await eventually("the cluster has ended", () => !isRunning(this.pid));
  }

  #urlOf(database: string): string {
    return `postgres://${OWNER}:${PASSWORD}@127.0.0.1:${this.port}/${database}`;
  }
}

/** A new cluster: a copy of one that was made once, for making one takes longer than most of what is done with it. */
async function initialize(folder: string, data: string): Promise<void> {
  const how = Bun.hash(JSON.stringify([INITDB, OWNER, PASSWORD])).toString(16);
  const made = join(ROOT, "build", `postgres-${majorOf(binaries())}-${process.getuid?.()}-${how}`);
  if (!existsSync(made)) {
    await make(folder, data);
    // In one step, for files are tested beside each other; the others of the same moment have their own.
    const copy = `${made}-${process.pid}`;
    rmSync(copy, { recursive: true, force: true }); // of one that was killed
    copyAll(data, copy);
    try {
      renameSync(copy, made);
    } catch (error) {
      rmSync(copy, { recursive: true });
      if (!existsSync(made)) throw error;
    }
    return;
  }
  if (otherUser()) chmodSync(folder, 0o711);
  copyAll(made, data);
}

/** With owners and modes. */
function copyAll(from: string, to: string): void {
  const { status, stderr } = spawnSync("cp", ["-a", from, to], { encoding: "utf8" });
  if (status !== 0) throw new Error(`a cluster cannot be copied: ${stderr}`);
}

async function make(folder: string, data: string): Promise<void> {
  const password = join(folder, "password");
  writeFileSync(password, PASSWORD);
  mkdirSync(data);
  const user = otherUser();
  if (user) {
    chmodSync(folder, 0o711);
    for (const path of [password, data]) chownSync(path, user.uid, user.gid);
  }
  const child = run("initdb", ["-D", data, "-U", OWNER, "--pwfile", password, ...INITDB]);
  const code = await child.exited;
  if (code !== 0) throw new Error(`initdb ended with ${code}: ${child.stderr.join("\n")}`);
}

/** Gives files, and their folder, to whom a cluster runs as. */
function handOver(files: readonly string[]): void {
  const user = otherUser();
  if (!user) return;
  for (const file of files) {
    chmodSync(dirname(file), 0o711);
    chownSync(file, user.uid, user.gid);
  }
}

function launch(data: string, port: number, settings: readonly string[]): TestProcess {
  const all = [`port=${port}`, "listen_addresses=127.0.0.1", "unix_socket_directories=", ...settings];
  return run("postgres", ["-D", data, ...all.flatMap((setting) => ["-c", setting])]);
}

/** Runs a program of PostgreSQL's. It ends with this process, also where nobody stops it. */
function run(program: string, args: readonly string[]): TestProcess {
  const path = join(binaries(), program);
  const user = otherUser();
  if (!user) return new TestProcess(path, args);
  const { uid, gid } = user;
  const as = [`--reuid=${uid}`, `--regid=${gid}`, "--clear-groups", "--pdeathsig", "QUIT"];
  return new TestProcess("setpriv", [...as, path, ...args]);
}

/** Undefined where the tests do not run as root. */
function otherUser(): OtherUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of OTHER_USERS) {
    const [uid, gid] = ["-u", "-g"].map((flag) => spawnSync("id", [flag, name], { encoding: "utf8" }));
    if (uid?.status === 0 && gid?.status === 0) return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  }
  throw new Error(`PostgreSQL refuses to run as root, and there is no user ${OTHER_USERS.join(" or ")}`);
}

let found: string | undefined;

/** The folder of the newest binaries that there are. */
function binaries(): string {
  found ??= findBinaries();
  return found;
}

function findBinaries(): string {
  const folders = [...(process.env.PATH ?? "").split(":"), ...debianFolders()];
  const candidates = folders
    .filter((folder) => isExecutable(join(folder, "initdb")) && isExecutable(join(folder, "postgres")))
    .map((folder) => ({ folder, major: majorOf(folder) }))
    .filter(({ major }) => major >= OLDEST_MAJOR)
    .sort((a, b) => b.major - a.major);
  const newest = candidates[0];
  if (!newest)
    throw new Error(
      `PostgreSQL ${OLDEST_MAJOR} or newer is missing: install it (Debian: apt install postgresql), or have its initdb and postgres in PATH`,
    );
  return newest.folder;
}

function debianFolders(): string[] {
  try {
    return readdirSync(DEBIAN_ROOT).map((version) => join(DEBIAN_ROOT, version, "bin"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** As `postgres (PostgreSQL) 15.14 (Debian …)` says it. */
function majorOf(folder: string): number {
  const { stdout } = spawnSync(join(folder, "postgres"), ["--version"], { encoding: "utf8" });
  return Number(/\) ([0-9]+)/.exec(stdout)?.[1] ?? 0);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
