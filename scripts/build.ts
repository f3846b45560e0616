// Builds dist/ (the bundled CLI, one lazily loaded chunk a verb) and, with --tests, build/ (precompiled tests).
import { build, type BuildOptions } from "esbuild";
import { existsSync } from "node:fs";
import { chmod, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { isMain } from "./is-main.ts";

const root = path.dirname(import.meta.dirname);

/** An ESM bundle of CommonJS packages needs a `require` of its own. */
const requireBanner =
  "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);";

const common = {
  absWorkingDir: root,
  bundle: true,
  platform: "node",
  target: "node24.6",
  format: "esm",
  splitting: true,
  logLevel: "warning",
  legalComments: "none",
} satisfies BuildOptions;

/** The command line as dist/cui.js and its chunks, made anew. */
export async function buildCli(): Promise<void> {
  await rm(path.join(root, "dist"), { recursive: true, force: true });
  await build({
    ...common,
    entryPoints: { cui: "src/cli/cui.ts" },
    outdir: "dist",
    chunkNames: "chunks/[name]-[hash]",
    minify: true,
    keepNames: true,
    banner: { js: requireBanner },
  });
  await buildWorkers("dist");
  await chmod(path.join(root, "dist/cui.js"), 0o755);
}

/**
 * Each action as one file, `actions/<name>/dist/index.mjs`, and the front door, `actions/dist/index.mjs`, which holds them
 * all: the release commits them, main never has them.
 */
export async function buildActions(): Promise<void> {
  const names = (await readdir(path.join(root, "actions"), { withFileTypes: true }))
    .filter((entry) => entry.isDirectory() && existsSync(path.join(root, "actions", entry.name, "main.ts")))
    .map(({ name }) => name);
  for (const folder of ["actions", ...names.map((name) => `actions/${name}`)]) {
    await build({
      ...common,
      splitting: false,
      entryPoints: { index: `${folder}/main.ts` },
      outdir: `${folder}/dist`,
      outExtension: { ".js": ".mjs" },
      minify: true,
      keepNames: true,
      banner: { js: requireBanner },
    });
  }
}

/** Each file of test/ under build/test, made anew; packages stay imports. */
export async function buildTests(): Promise<void> {
  await rm(path.join(root, "build"), { recursive: true, force: true });
  await build({
    ...common,
    entryPoints: await listTypeScript("test"),
    outdir: "build",
    outbase: ".",
    packages: "external",
    sourcemap: "inline",
    chunkNames: "chunks/[name]-[hash]",
  });
  await buildWorkers("build");
}

/** Each file of bench/ under build/bench, beside the tests. */
export async function buildBenchmarks(): Promise<void> {
  await build({
    ...common,
    entryPoints: await listTypeScript("bench"),
    outdir: "build",
    outbase: ".",
    packages: "external",
    chunkNames: "bench-chunks/[name]-[hash]",
  });
  await buildWorkers("build");
}

/** Worker threads are files of their own. */
async function buildWorkers(directory: "dist" | "build"): Promise<void> {
  await build({
    ...common,
    splitting: false,
    entryPoints: { "disk-codec-worker": "src/disk/codec-worker.ts" },
    outdir: directory,
    minify: directory === "dist",
  });
}

async function listTypeScript(directory: string): Promise<string[]> {
  const entries = await readdir(path.join(root, directory), { recursive: true }).catch(() => []);
  return entries.filter((entry) => entry.endsWith(".ts")).map((entry) => path.join(directory, entry));
}

if (isMain(import.meta.url)) {
  if (!process.argv.includes("--actions-only")) await buildCli();
  if (process.argv.includes("--tests")) await buildTests();
  if (process.argv.includes("--bench")) await buildBenchmarks();
  if (process.argv.some((argument) => /^--actions(-only)?$/.test(argument))) await buildActions();
}
