/** `npm run test:exhaustive [-- part of a path …]`: the tests, each with all it can try where `npm test` takes a sample. */
process.env["CUI_EXHAUSTIVE"] = "1";
process.env["CUI_TEST_TIMEOUT_MINUTES"] = String(24 * 60);
await import("./test.ts");
