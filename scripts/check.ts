// npm run check: format, lint, types, import rules, dead code, generated files clean. Every step runs; any failure fails.
import { spawnSync } from "node:child_process";

/** A step's name, its program of node_modules/.bin or node itself, and that one's arguments. */
type Step = readonly [name: string, file: string, ...args: string[]];

const steps: readonly Step[] = [
  ["format", "prettier", "--check", "--log-level", "warn", "."],
  ["types", "tsc", "-p", "."],
  ["lint", "eslint", "src", "actions", "test", "bench", "scripts", "--no-error-on-unmatched-pattern"],
  [
    "import rules",
    "depcruise",
    "src",
    "actions",
    "--config",
    ".dependency-cruiser.cjs",
    "--output-type",
    "err",
  ],
  ["dead code", "knip", "--no-progress"],
  ["generated files", "node", "scripts/generated.ts", "--check"],
];

let failed = 0;
for (const [name, file, ...args] of steps) {
  const startedAt = Date.now();
  const command = file === "node" ? process.execPath : `node_modules/.bin/${file}`;
  const { status } = spawnSync(command, args, { stdio: ["ignore", "inherit", "inherit"] });
  if (status !== 0) failed += 1;
  console.log(
    `${status === 0 ? "ok    " : "FAILED"} ${name} (${((Date.now() - startedAt) / 1000).toFixed(1)} s)`,
  );
}
process.exitCode = failed === 0 ? 0 : 1;
