/**
 * Runs the tests: `bun test/run.ts [filter or flag of bun test …]`.
 *
 * The last line on stdout is always `N passed, N failed, N skipped` (todo counts as skipped). bun's exit code
 * and its report each miss something: a file that does not load is not in the report, a bun that was killed left
 * none. So both must agree, and every doubt counts as a failure.
 */
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { XMLParser, XMLValidator } from "fast-xml-parser";

const REPORT = "build/junit.xml";
/** How long each file took: the next run begins with the slowest. */
const TIMINGS = "build/timings.json";
const TEST_ROOT = "test"; // as in bunfig.toml
const TEST_TIMEOUT_MS = 60_000;
const RUN_TIMEOUT_MS = 20 * 60_000;
/** Files that run beside each other, each in a fresh global: most of their time they wait. */
const PARALLEL = 3;

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

interface Report extends Counts {
  readonly files: ReadonlySet<string>;
}

/** A node as the parser gives it with preserveOrder: one key that is the tag, and ":@" for attributes. */
type XmlNode = { readonly ":@"?: Readonly<Record<string, string>> } & Readonly<Record<string, unknown>>;

const filters = process.argv.slice(2).filter((arg) => arg !== "");
mkdirSync(dirname(REPORT), { recursive: true });
rmSync(REPORT, { force: true });
const exit = await runBun(filters);

const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
const doubts: string[] = [];
try {
  const report = readReport(readFileSync(REPORT, "utf8"));
  Object.assign(counts, { passed: report.passed, failed: report.failed, skipped: report.skipped });
  if (filters.length === 0) {
    for (const file of testFiles()) {
      if (!report.files.has(file)) doubts.push(`${file} did not load, or has no test`);
    }
  }
  if (counts.passed + counts.failed === 0) doubts.push("no test ran");
} catch (error) {
  doubts.push(`no usable report in ${REPORT}: ${error}`);
}
if (exit !== "code 0" && counts.failed === 0 && doubts.length === 0) {
  doubts.push(`bun test ended with ${exit}, but the report has no failure`);
}
counts.failed += doubts.length;

for (const doubt of doubts) console.error(`test/run.ts: ${doubt}`);
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed === 0 ? 0 : 1;

/** Resolves to how bun ended: `code N`, or the signal's name. */
function runBun(args: readonly string[]): Promise<string> {
  const child = spawn(
    process.execPath,
    [
      "test",
      `--parallel=${PARALLEL}`,
      `--timings=${TIMINGS}`,
      "--update-timings",
      `--timeout=${TEST_TIMEOUT_MS}`,
      "--reporter=junit",
      `--reporter-outfile=${REPORT}`,
      ...args,
    ],
    { stdio: "inherit" },
  );
  // A file whose top level never ends is under no test's timeout.
  const timer = setTimeout(() => child.kill("SIGKILL"), RUN_TIMEOUT_MS);
  // The totals must come last: on Ctrl-C this process stays until bun, which got the signal too, is gone.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      clearTimeout(timer);
      resolve(signal ?? `code ${code}`);
    });
  });
}

/** Counts the test cases of a JUnit report. Throws if it is cut off or contradicts its own totals. */
function readReport(xml: string): Report {
  const valid = XMLValidator.validate(xml);
  if (valid !== true) throw new Error(`${valid.err.msg} in line ${valid.err.line}`);
  const parser = new XMLParser({
    preserveOrder: true,
    ignoreAttributes: false,
    attributeNamePrefix: "",
    processEntities: false,
  });
  const files = new Set<string>();
  const report = { passed: 0, failed: 0, skipped: 0, files };
  const roots = (parser.parse(xml) as XmlNode[]).filter((node) => "testsuites" in node);
  const count = (nodes: readonly XmlNode[]): void => {
    for (const node of nodes) {
      if (node.testsuite) {
        const file = node[":@"]?.file;
        if (file !== undefined) files.add(file);
        count(node.testsuite as XmlNode[]);
      } else if (node.testcase) {
        const children = node.testcase as XmlNode[];
        if (children.some((child) => child.failure || child.error)) report.failed++;
        else if (children.some((child) => child.skipped)) report.skipped++;
        else report.passed++;
      }
    }
  };
  for (const root of roots) count(root.testsuites as XmlNode[]);

  const { passed, failed, skipped } = report;
  const totals = roots[0]?.[":@"];
  const counted = `${passed + failed + skipped} tests, ${failed} failures, ${skipped} skipped`;
  const stated = `${totals?.tests} tests, ${totals?.failures} failures, ${totals?.skipped} skipped`;
  if (counted !== stated) throw new Error(`it states ${stated}, and lists ${counted}`);
  return report;
}

function testFiles(): string[] {
  return readdirSync(TEST_ROOT, { recursive: true, encoding: "utf8" })
    .filter((file) => /[._](test|spec)\.[cm]?[jt]sx?$/.test(file))
    .map((file) => join(TEST_ROOT, file));
}
