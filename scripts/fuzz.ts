/** `npm run fuzz [-- <seconds>]`: the fuzzer, for that long (ten minutes); CUI_SEED begins with the same texts. */
const seconds = Number(process.argv[2] ?? 600);
if (!Number.isSafeInteger(seconds) || seconds < 1) {
  console.error("usage: npm run fuzz [-- <seconds>]");
  process.exit(2);
}
process.env["CUI_FUZZ_SECONDS"] = String(Math.ceil(seconds / 2));
process.env["CUI_TEST_TIMEOUT_MINUTES"] = String(Math.ceil(seconds / 60) + 30);
process.argv.splice(2, process.argv.length, "fuzz.test.ts");
await import("./test.ts");

export {};
