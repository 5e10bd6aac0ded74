/** A certificate for loopback, signed by itself, as PEM files. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { generate } from "selfsigned";
import { temporaryFolder } from "../../tools/harness/folders.ts";

export interface Certificate {
  readonly cert: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** The flags of `coffer serve`. */
  readonly flags: readonly string[];
}

export async function makeCertificate(): Promise<Certificate> {
  const { cert, private: key } = await generate([{ name: "commonName", value: "localhost" }], {
    keyType: "ec",
    extensions: [
      { name: "basicConstraints", cA: true },
      {
        name: "subjectAltName",
        altNames: [
          { type: 2, value: "localhost" },
          { type: 7, ip: "127.0.0.1" },
        ],
      },
    ],
  });
  const folder = temporaryFolder();
  const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  writeFileSync(certFile, cert);
  writeFileSync(keyFile, key, { mode: 0o600 });
  return { cert, certFile, keyFile, flags: ["--tls-cert", certFile, "--tls-key", keyFile] };
}
