/**
 * k6: virtual users that send the steps of plan.ts, as fast as they are answered. Each iteration writes one
 * line of JSON to the console: the lane, its first step, and what came back. Needs BASE_URL, SEED, SECONDS
 * and SUMMARY (a file) in the environment; started by run.ts.
 */

import { check } from "k6";
import exec from "k6/execution";
import http from "k6/http";
import { STEPS_PER_ITERATION, stepOf, USERS } from "./plan.ts";

const { BASE_URL, SEED, SECONDS, SUMMARY } = __ENV;

/** What came back to a step: the status, whether it was a repeat, `seq` and balances; of a batch how many, instead. */
export type Answered =
  | {
      readonly status: number;
      readonly replayed: boolean;
      readonly seq: number;
      readonly fromBalance: number | undefined;
      readonly toBalance: number | undefined;
    }
  | {
      readonly status: number;
      readonly committed: number;
      readonly replayed: number;
      readonly failures: readonly { readonly index: number; readonly code: string }[];
      readonly seq: number;
    };

/** A line of the console. */
export interface Answers {
  readonly lane: number;
  readonly from: number;
  readonly answers: readonly Answered[];
}

export const options = {
  scenarios: {
    wallet: { executor: "constant-vus", vus: USERS, duration: `${SECONDS}s`, gracefulStop: "60s" },
  },
  thresholds: { checks: ["rate==1"], http_req_failed: ["rate==0"] },
  summaryTrendStats: ["med", "p(95)", "p(99)", "max"],
};

http.setResponseCallback(http.expectedStatuses(200, 422));

const PARAMS = { headers: { "content-type": "application/json" }, timeout: "30s" };

let next = 0;

export default function iteration(): void {
  const lane = exec.vu.idInTest;
  const from = next;
  const answers: Answered[] = [];
  for (; next < from + STEPS_PER_ITERATION; next++) {
    const { path, body, transactions } = stepOf(Number(SEED), lane, next);
    const response = http.post(BASE_URL + path, JSON.stringify(body), PARAMS);
    const { status } = response;
    if (!check(response, { "the answer is 200 or 422": () => status === 200 || status === 422 })) {
      exec.test.abort(`${path} was answered ${status}: ${response.error || response.body}`);
    }
    const answer = JSON.parse(String(response.body));
    if (path === "/v1/wallet/transfers") {
      const { committed, replayed, failures, seq } = answer;
      check(answer, {
        "a batch's counts add up": () =>
          committed + replayed + answer.failed === transactions.length && failures.length === answer.failed,
      });
      answers.push({ status, committed, replayed, failures, seq });
    } else {
      check(answer, { "an answer carries its id": () => answer.transaction_id === transactions[0]?.id });
      const replayed = response.headers["Idempotent-Replayed"] === "true";
      const { seq, from_balance: fromBalance, to_balance: toBalance } = answer;
      answers.push({ status, replayed, seq, fromBalance, toBalance });
    }
  }
  console.log(JSON.stringify({ lane, from, answers } satisfies Answers));
}

export function handleSummary(data: object): Record<string, string> {
  return { [String(SUMMARY)]: JSON.stringify(data) };
}
