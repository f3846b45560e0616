// The first step of every npm script: runs a script of this project under a Node that is new enough for it. Where the machine
// has an older Node, a newer one comes through npm (scripts/node) and the script goes on under that.
//
//   node scripts/start.mjs scripts/check.ts [argument …]
//
// Node 18 runs this file, and so must every line of it.
import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const nodeFolder = path.join(root, "scripts/node");
const packageText = readFileSync(path.join(root, "package.json"), "utf8");
const oldest = /"node": ">=([\d.]+)"/.exec(packageText)?.[1] ?? "";

const [script, ...args] = process.argv.slice(2);
if (script === undefined) {
  console.error("usage: node scripts/start.mjs <script> [argument …]");
  process.exitCode = 2;
} else if (isNewEnough(process.version)) {
  process.argv.splice(1, 2, path.resolve(script));
  await import(pathToFileURL(path.resolve(script)).href);
} else {
  const node = findNode() ?? installNode();
  if (node === undefined) process.exitCode = 1;
  else goOnUnder(node, [script, ...args]);
}

/** @param {string} version */
function isNewEnough(version) {
  const [major = 0, minor = 0] = version.replace("v", "").split(".").map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = oldest.split(".").map(Number);
  return major > oldestMajor || (major === oldestMajor && minor >= oldestMinor);
}

/** The Node that an earlier run brought, when it runs here. */
function findNode() {
  const file = path.join(nodeFolder, `node_modules/node-linux-${process.arch}/bin/node`);
  const { stdout } = spawnSync(file, ["--version"], { encoding: "utf8" });
  return typeof stdout === "string" && isNewEnough(stdout.trim()) ? file : undefined;
}

function installNode() {
  console.log(
    `This is Node ${process.version}; Collective needs Node ${oldest} or later. Getting it through npm.`,
  );
  const { status } = spawnSync("npm", ["ci", "--prefix", nodeFolder, "--no-audit", "--no-fund"], {
    cwd: nodeFolder,
    stdio: ["ignore", "inherit", "inherit"],
  });
  const node = status === 0 ? findNode() : undefined;
  if (node === undefined) {
    const why =
      status === 0 ? `npm has none that runs on ${process.platform} ${process.arch}` : "npm ci failed";
    console.error(`There is no newer Node: ${why}. Install Node ${oldest} or later and try again.`);
  }
  return node;
}

/**
 * @param {string} node
 * @param {string[]} command
 */
function goOnUnder(node, command) {
  const { stdout } = spawnSync(node, ["--version"], { encoding: "utf8" });
  console.log(`Going on under Node ${stdout.trim()} of scripts/node (this machine's is ${process.version}).`);
  const child = spawn(node, command, {
    stdio: "inherit",
    // Programs of the script find the same Node.
    env: { ...process.env, PATH: `${path.dirname(node)}${path.delimiter}${process.env["PATH"] ?? ""}` },
  });
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]))
    process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => {
    process.exit(signal === null ? (code ?? 1) : 128 + os.constants.signals[signal]);
  });
}
