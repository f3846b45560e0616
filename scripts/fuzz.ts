/** `npm run fuzz [-- <seconds>]`: the fuzzers, each for that long (ten minutes); CUI_SEED repeats a run. */
const seconds = Number(process.argv[2] ?? 600);
if (!Number.isSafeInteger(seconds) || seconds < 1) {
  console.error("usage: npm run fuzz [-- <seconds>]");
  process.exit(2);
}
process.env["CUI_FUZZ_SECONDS"] = String(Math.ceil(seconds / 2));
process.argv.splice(2, process.argv.length, "fuzz.test.ts");
await import("./test.ts");

export {};
