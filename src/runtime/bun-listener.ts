/**
 * What Bun.serve leaves open, closed by the kernel (Linux; elsewhere nothing is done): a peer that never reads
 * its answers, what a connection's buffers may take, and how many connections there are.
 *
 * Bun itself cuts requests whose head or body comes too slowly and connections that are idle. At the limit of
 * open files it would try to accept for ever, and nobody could open a file any more; so the listener drops
 * whoever knocks long before.
 */

import { dlopen, FFIType, ptr } from "bun:ffi";
import { readdirSync, readFileSync, statSync } from "node:fs";

const LIBC = "libc.so.6";
const OPEN_FILES = "/proc/self/fd";

// Linux, include/uapi/asm-generic/socket.h and linux/tcp.h. What a listener has, its connections inherit.
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_ATTACH_FILTER = 26;
const SO_DETACH_FILTER = 27;
const SO_ACCEPTCONN = 30;
const SO_ATTACH_REUSEPORT_CBPF = 51;
const F_GETFD = 1;
const IPPROTO_TCP = 6;
const TCP_USER_TIMEOUT = 18;
const INSTRUCTION_BYTES = 8;
/** A program of one instruction, `ret #0`: keep no byte of any packet. */
const DROP_ALL = new Uint8Array([6, 0, 0, 0, 0, 0, 0, 0]);

/** Instructions of classic BPF (linux/bpf_common.h), and the place that reads as a random number (linux/filter.h). */
const BPF_LD_W_ABS = 0x20;
const BPF_MOD_K = 0x94;
const BPF_ADD_K = 0x04;
const BPF_RET_A = 0x16;
const SKF_AD_RANDOM = 0xfffff000 + 56;

/** A peer that takes nothing for so long is cut, also where it says that it lives. */
const UNREAD_TIMEOUT_MS = 30_000;
/** Asked for in each direction; the kernel takes twice as much. */
const BUFFER_BYTES = 128 << 10;
/** How often is looked. What comes in between, with what waits to be accepted, must find open files. */
const LOOK_MS = 20;
/** How often the node's own files are told from connections at most. */
const COUNT_MS = 1_000;
/** So many are told in a look, at 1 µs each; and so many where somebody is about to be kept out. */
const FILES_A_LOOK = 256;
const URGENT_FILES_A_LOOK = 2_048;
/** Of all open files, what may be taken: the rest is for what comes between two looks. */
const SHARE_OF_FILES = 1 / 2;
/** From this share of the most on, connections are closed behind their answers. */
const CROWDED = 0.8;
/** Below this share whoever knocks is let in again. */
const ROOM_AGAIN = 0.95;
/** For so long it is told that somebody was kept out. */
const FULL_TOLD_MS = 10_000;
/** Of a socket's address, as much as tells its family and port. */
const ADDRESS_BYTES = 128;
const AF_INET = 2;
const AF_INET6 = 10;

/** What the kernel writes its answers to. */
const address = new DataView(new ArrayBuffer(ADDRESS_BYTES));
const value = new Int32Array(1);
const length = new Uint32Array(1);

type Libc = ReturnType<typeof openLibc>["symbols"];

export class Listener {
  #connections = 0;
  #crowded = false;
  #full = false;
  /** When somebody was last kept out. */
  #fullMs = Number.NEGATIVE_INFINITY;
  /** Open files that are no connections, as of the last count that came to its end. */
  #own = 0;
  /** The count under way: the file that it has come to, the one where it ends, and what it has found. */
  #at = 0;
  #end = 0;
  #found = 0;
  #begunMs = 0;
  #isUrgent = false;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Makes a server listen, and bounds its connections; other threads must not begin to listen meanwhile. */
  static listen<Server>(start: () => Server, maxConnections: number): [Server, Listener] {
    if (process.platform !== "linux") return [start(), new Listener()];
    const libc = openLibc().symbols;
    const before = new Set(listening(libc));
    const server = start();
    const own = listening(libc).filter((file) => !before.has(file));
    return [server, new Listener(libc, own, maxConnections)];
  }

  private constructor(
    private readonly libc?: Libc,
    private readonly files: readonly number[] = [],
    maxConnections = 0,
  ) {
    if (!libc) return;
    const port = portOf(libc, files[0] as number);
    const mostFiles = Math.floor(maxOpenFiles() * SHARE_OF_FILES);
    for (const file of files) {
      set(libc, file, IPPROTO_TCP, TCP_USER_TIMEOUT, new Int32Array([UNREAD_TIMEOUT_MS]));
      for (const buffer of [SO_SNDBUF, SO_RCVBUF])
        set(libc, file, SOL_SOCKET, buffer, new Int32Array([BUFFER_BYTES]));
    }
    this.#beginCount(0);
    this.#count(libc, port, this.#end);
    this.#timer = setInterval(() => this.#look(libc, port, maxConnections, mostFiles), LOOK_MS);
    this.#timer.unref();
  }

  /** How many there are, over all listeners of this process; 0 where they are not bounded here. */
  get connections(): number {
    return this.#connections;
  }

  /** Whether somebody is kept out, or was a moment ago. */
  get full(): boolean {
    return performance.now() - this.#fullMs < FULL_TOLD_MS;
  }

  /** Whether there are so many connections that each should be closed behind its answer. */
  get crowded(): boolean {
    return this.#crowded;
  }

  /** Of the listeners on this port, new connections go to `count` ones, from `first` on in their order. */
  steer(first: number, count: number): void {
    if (!this.libc) return;
    const program = instructions([
      [BPF_LD_W_ABS, SKF_AD_RANDOM],
      [BPF_MOD_K, count],
      [BPF_ADD_K, first],
      [BPF_RET_A, 0],
    ]);
    const option = new BigUint64Array([BigInt(program.length / INSTRUCTION_BYTES), BigInt(ptr(program))]);
    for (const file of this.files) set(this.libc, file, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, option);
  }

  /** To be called before the server closes its listener. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /**
   * The node's own files come and go, with its threads and its connections to others. To tell them from callers'
   * costs calls for each, so they are counted bit by bit, and faster, from the first on, before anybody is kept out.
   */
  #look(libc: Libc, port: number, maxConnections: number, mostFiles: number): void {
    const nowMs = performance.now();
    const open = openFiles();
    const mostNow = () => Math.min(maxConnections, Math.max(mostFiles - this.#own, 1));
    const isAboutToBeFull = !this.#full && !this.#isUrgent && open - this.#own > mostNow();
    if (isAboutToBeFull || (this.#at === this.#end && nowMs - this.#begunMs > COUNT_MS))
      this.#beginCount(nowMs);
    this.#isUrgent ||= isAboutToBeFull;
    const counted = this.#count(libc, port, this.#isUrgent ? URGENT_FILES_A_LOOK : FILES_A_LOOK);
    const isSure = counted && this.#isUrgent;
    if (counted) this.#isUrgent = false;
    this.#connections = Math.max(0, open - this.#own);
    const most = mostNow();
    this.#crowded = this.#connections > most * CROWDED;
    const tooMany = this.#connections > (this.#full ? most * ROOM_AGAIN : most);
    // What looks like connections may be new files of the node.
    const full = tooMany && (this.#full || isSure || open > mostFiles);
    if (full) this.#fullMs = nowMs;
    if (full === this.#full) return;
    this.#full = full;
    const program = new BigUint64Array([1n, BigInt(ptr(DROP_ALL))]);
    const option = full ? SO_ATTACH_FILTER : SO_DETACH_FILTER;
    for (const file of this.files) set(libc, file, SOL_SOCKET, option, program);
  }

  #beginCount(nowMs: number): void {
    this.#at = 0;
    this.#end = filePlaces();
    this.#found = 0;
    this.#begunMs = nowMs;
  }

  /** Looks at the next `files`; whether that came to the end. */
  #count(libc: Libc, port: number, files: number): boolean {
    if (this.#at === this.#end) return false;
    for (const until = Math.min(this.#at + files, this.#end); this.#at < until; this.#at++)
      if (isOwn(libc, this.#at, port)) this.#found++;
    if (this.#at < this.#end) return false;
    this.#own = this.#found;
    return true;
  }
}

/** Each has 2 bytes of code, 2 of jumps, which are not used here, and 4 of a number. */
function instructions(program: readonly (readonly [code: number, k: number])[]): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(program.length * INSTRUCTION_BYTES));
  for (const [index, [code, k]] of program.entries()) {
    bytes.setUint16(index * INSTRUCTION_BYTES, code, true);
    bytes.setUint32(index * INSTRUCTION_BYTES + 4, k, true);
  }
  return new Uint8Array(bytes.buffer);
}

function openLibc() {
  const { i32, u32, ptr: pointer } = FFIType;
  return dlopen(LIBC, {
    setsockopt: { args: [i32, i32, i32, pointer, u32], returns: i32 },
    getsockopt: { args: [i32, i32, i32, pointer, pointer], returns: i32 },
    fcntl: { args: [i32, i32], returns: i32 },
    getsockname: { args: [i32, pointer, pointer], returns: i32 },
  });
}

function set(
  libc: Libc,
  file: number,
  level: number,
  option: number,
  value: Int32Array | BigUint64Array,
): void {
  if (libc.setsockopt(file, level, option, ptr(value), value.byteLength) !== 0)
    throw new Error(`the listener's option ${level}:${option} cannot be set`);
}

/** The files of this process that are listening sockets. */
function listening(libc: Libc): number[] {
  return openFileNumbers().filter((file) => listens(libc, file));
}

/** The port that a socket has on this side; 0 where it is none of TCP's. */
function portOf(libc: Libc, file: number): number {
  length[0] = ADDRESS_BYTES;
  if (libc.getsockname(file, ptr(address), ptr(length)) !== 0) return 0;
  const isInternet = [AF_INET, AF_INET6].includes(address.getUint16(0, true));
  return isInternet ? address.getUint16(2) : 0;
}

function listens(libc: Libc, file: number): boolean {
  length[0] = value.byteLength;
  return libc.getsockopt(file, SOL_SOCKET, SO_ACCEPTCONN, ptr(value), ptr(length)) === 0 && value[0] === 1;
}

/** Whether a file is open, and no connection to this port. */
function isOwn(libc: Libc, file: number, port: number): boolean {
  if (portOf(libc, file) === port) return listens(libc, file);
  return libc.fcntl(file, F_GETFD) >= 0;
}

function openFileNumbers(): number[] {
  return readdirSync(OPEN_FILES).map(Number);
}

/** Since Linux 6.2 the folder's size is the number of its files; before, it is 0. */
function openFiles(): number {
  return statSync(OPEN_FILES).size || readdirSync(OPEN_FILES).length;
}

/** Places in the process's table of files: each open one has a lower number. */
function filePlaces(): number {
  return Number(/^FDSize:\s+([0-9]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
}

function maxOpenFiles(): number {
  const soft = /^Max open files\s+([0-9]+|unlimited)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  return soft === undefined || soft === "unlimited" ? Number.POSITIVE_INFINITY : Number(soft);
}
