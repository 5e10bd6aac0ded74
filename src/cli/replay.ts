import { damageText } from "../eventlog/recovery.ts";
import type { CliCommand } from "./command.ts";
import { readConfig } from "./read-config.ts";
import { digestOf, readBehindSnapshot, readWholeLog, totalsOf } from "./read-log.ts";

const SETTINGS = ["data", "fromSnapshot", "json"] as const;

export const replay: CliCommand = {
  name: "replay",
  usage: "",
  help: "replays the log into an empty engine and prints the result; changes nothing",
  settings: SETTINGS,
  async run(args, env) {
    const { data, fromSnapshot, json } = readConfig(SETTINGS, args, env);
    const summary = await (fromSnapshot ? readBehindSnapshot(data) : readWholeLog(data));
    const { path, finding, engine, commands } = summary;
    if (finding.state === "damaged") {
      console.error(damageText(path, finding.break));
      return 1;
    }
    if (finding.size > finding.position.bytes) {
      const torn = finding.size - finding.position.bytes;
      console.error(`${path}: the last ${torn} bytes are a torn end and were skipped`);
    }
    const { ledger } = engine;
    const seconds = Math.round(summary.seconds * 1_000) / 1_000;
    const totals = totalsOf(summary);
    const digest = digestOf(summary);
    if (json) {
      const texts = totals.map(
        ({ currency, sum, in_circulation }) =>
          `{"currency":"${currency}","sum":${sum},"in_circulation":${in_circulation}}`,
      );
      console.log(
        `{"events":${ledger.seq},"commands":${commands},"accounts":${ledger.balances.accounts},"transactions":${ledger.transactions.size},"totals":[${texts}],"digest":"${digest}","seconds":${seconds}}`,
      );
      return 0;
    }
    console.log(`events        ${ledger.seq}`);
    console.log(`commands      ${commands}`);
    console.log(`accounts      ${ledger.balances.accounts}`);
    console.log(`transactions  ${ledger.transactions.size}`);
    for (const { currency, sum, in_circulation } of totals) {
      console.log(`totals        ${currency}: sum ${sum}, in circulation ${in_circulation}`);
    }
    console.log(`digest        ${digest}`);
    console.log(`seconds       ${seconds}`);
    return 0;
  },
};
