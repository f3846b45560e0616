/**
 * `npm test [-- --again | --slow | part of a path …]`: installs what is missing and runs the tests. The last lines are the failed
 * tests, then `N passed, N failed`. `--again` runs the files in which a test failed last, `--slow` those that a plain run leaves out.
 */
import { debianPackages, install, missingPackages, testPackages } from "./prerequisites.ts";

const npmProblem = install([]);
if (npmProblem !== undefined) throw new Error(npmProblem);
const packages = [...debianPackages, ...testPackages];
const problem = install(packages);
if (problem !== undefined) {
  const missing = missingPackages(packages).map(({ name }) => name);
  console.log(`${problem}\nTests that need ${missing.join(", ")} are skipped or fail.`);
}
// It uses packages, which are there only now.
await import("./test/main.ts");
