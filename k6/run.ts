/**
 * Puts a compiled node under load by k6, and then checks that no money was made or lost and that nobody was
 * told anything that is not in the log: `bun k6/run.ts [--seconds N]`. COFFER_SEED repeats a run's requests.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { CofferNode, coffer, replay } from "../tools/harness/coffer.ts";
import { removeTemporaryFolders, temporaryFolder } from "../tools/harness/folders.ts";
import { LedgerAudit } from "../tools/harness/ledger-audit.ts";
import { endTestProcesses, ROOT, TestProcess } from "../tools/harness/processes.ts";
import { SEED } from "../tools/harness/seed.ts";
import { auditAnswers, type Counts } from "./audit.ts";
import { type Funded, fundedAccounts } from "./plan.ts";

export interface LoadReport {
  readonly counts: Readonly<Counts>;
  readonly requestsPerSecond: number;
  /** Of a request, in milliseconds. */
  readonly latency: { readonly med: number; readonly "p(95)": number; readonly "p(99)": number };
  /** Empty where everything fits. */
  readonly problems: readonly string[];
  /** The node's data and what k6 wrote. */
  readonly folder: string;
}

/** `seed` is a 32-bit integer. Throws where k6 fails: it could not go on, or an answer was neither 200 nor 422. */
export async function runLoad(seconds: number, seed: number): Promise<LoadReport> {
  const folder = temporaryFolder();
  const data = join(folder, "data");
  const answers = join(folder, "answers");
  const summary = join(folder, "summary.json");
  const problems: string[] = [];
  const expect = (what: string, found: unknown, expected: unknown) => {
    const [left, right] = [JSON.stringify(found), JSON.stringify(expected)];
    if (left !== right) problems.push(`${what} is ${left}, and should be ${right}`);
  };

  const node = await CofferNode.start(data);
  const accounts = fundedAccounts();
  const openings = await Promise.all(
    accounts.map(({ account, balance }) => node.client.open(account, balance)),
  );
  const before = await node.client.ledger();
  expect("the sum over the accounts before", await sumOf(node, accounts), before.totals[0].in_circulation);

  const k6 = new TestProcess(
    join(ROOT, "build", "tools", "k6"),
    [
      ...["run", "--quiet", "--no-usage-report", "--address", "", "--log-format", "raw"],
      ...["--console-output", answers, join(ROOT, "k6", "load.ts")],
    ],
    { BASE_URL: node.url, SEED: String(seed), SECONDS: String(seconds), SUMMARY: summary },
  );
  const code = await k6.exited;
  if (code !== 0) throw new Error(`k6 ended with ${code}: ${k6.stderr.slice(-5).join("\n")}`);

  const after = await node.client.ledger();
  const sumAfter = await sumOf(node, accounts);
  const balances = await Promise.all(
    accounts.map(async ({ account }) => [account, await node.client.balance(account)] as const),
  );
  expect("the node's exit code", await node.stop(), 0);

  const ledger = new LedgerAudit(join(data, "events.log"));
  openings.forEach(({ body: { transaction_id: id, seq, balance: toBalance } }, index) => {
    const { account: to, balance: amount } = accounts[index] as Funded;
    const told = { rejected: false, replayed: false, seq, toBalance };
    ledger.told({ id, kind: "open_account", from: "@world", to, amount }, told);
  });
  const counts = await auditAnswers(ledger, answers, seed);
  const { replay: log } = ledger;
  problems.push(...ledger.problems());
  const moved = counts.deposited - counts.withdrawn;
  expect("the sum over the accounts after", sumAfter, before.totals[0].in_circulation + moved);
  expect("GET /v1/ledger", after, {
    ledger_id: before.ledger_id,
    seq: log.events,
    accounts: accounts.length,
    transactions: accounts.length + counts.committed + counts.rejected,
    totals: [{ currency: "USD", sum: 0, in_circulation: sumAfter }],
  });
  for (const [account, balance] of balances)
    expect(`the balance of ${account}`, balance, Number(log.balances.get(`${account},USD`)?.available));
  for (const kind of ["committed", "rejected", "repeatsOfCommitted", "repeatsOfRejected"] as const)
    if (counts[kind] === 0) problems.push(`the load had no ${kind}: it has not tested what it should`);
  expect("replay's digest", (await replay(data)).digest, log.digest);
  expect("verify's exit code", (await coffer(["verify", "--data", data])).code, 0);

  const { metrics } = JSON.parse(readFileSync(summary, "utf8"));
  const requestsPerSecond = metrics.http_reqs.values.rate;
  const latency = metrics.http_req_duration.values;
  return { counts, requestsPerSecond, latency, problems, folder };
}

async function sumOf(node: CofferNode, accounts: readonly { readonly account: string }[]): Promise<number> {
  const balances = await Promise.all(accounts.map(({ account }) => node.client.balance(account)));
  return balances.reduce((sum, balance) => sum + balance, 0);
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { seconds: { type: "string", default: "60" } } });
  const seconds = Number(values.seconds);
  if (!Number.isSafeInteger(seconds) || seconds < 1) {
    console.error("k6/run.ts: --seconds must be a positive integer");
    process.exit(2);
  }
  try {
    const { counts, requestsPerSecond, latency, problems, folder } = await runLoad(seconds, SEED);
    console.log(`requests      ${counts.requests}, ${Math.round(requestsPerSecond)} a second`);
    console.log(
      `latency       median ${latency.med.toFixed(1)} ms, p95 ${latency["p(95)"].toFixed(1)} ms, p99 ${latency["p(99)"].toFixed(1)} ms`,
    );
    console.log(
      `transactions  ${counts.committed} committed, ${counts.rejected} rejected; repeats: ${counts.repeatsOfCommitted} and ${counts.repeatsOfRejected}`,
    );
    console.log(`deposited     ${counts.deposited}, withdrawn ${counts.withdrawn}`);
    for (const problem of problems) console.error(problem);
    if (problems.length > 0) console.error(`kept: ${folder}`);
    else removeTemporaryFolders();
    console.log(problems.length === 0 ? "no money was made or lost" : "the ledger does not fit");
    process.exitCode = problems.length === 0 ? 0 : 1;
  } finally {
    await endTestProcesses();
  }
}
