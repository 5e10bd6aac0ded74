import { readConfig } from "../config.ts";
import { damageText } from "../eventlog/recovery.ts";
import type { CliCommand } from "./cli.ts";
import { readWholeLog, totalsOf } from "./read-log.ts";

const SETTINGS = ["data"] as const;

export const verify: CliCommand = {
  name: "verify",
  usage: "",
  help: "checks every seq, crc and total of the log; a torn end counts as bad",
  settings: SETTINGS,
  async run(args, env) {
    const { data } = readConfig(SETTINGS, args, env);
    const summary = await readWholeLog(data);
    const { path, finding, commands } = summary;
    if ("break" in finding) {
      console.error(damageText(path, finding.break));
      return 1;
    }
    if (finding.size > finding.position.bytes || finding.state === "new") {
      console.error(`${path}: line 1, byte 0: expected a ledger's opening`);
      return 1;
    }
    const wrong = totalsOf(summary).find(({ sum }) => sum !== 0);
    if (wrong) {
      console.error(`${path}: the balances in ${wrong.currency} add up to ${wrong.sum}, not to 0`);
      return 1;
    }
    console.log(`ok: ${finding.position.seq} events of ${commands} commands, every seq, crc and total`);
    return 0;
  },
};
