/** A site of many machines over many real repositories, for measuring: every repository has two versions with a disk index. */
import { gitAt } from "../git/git-fixture.ts";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { randomBytes } from "node:crypto";
import pLimit from "p-limit";
import { run } from "../../src/io.ts";
import { loadAppliance } from "../../src/appliance/load.ts";
import { createRepository } from "../../src/setup/create.ts";
import { publish } from "../../src/publish/publish.ts";
import { utilityYaml } from "./site-fixture.ts";

export interface LargeSite {
  readonly folder: string;
  readonly cache: string;
  readonly base: string;
  readonly head: string;
}

export interface LargeSiteOptions {
  readonly machines: number;
  readonly repositories: number;
  /** All machines in one network, or a network for each repository. */
  readonly networks: "one" | "many";
  /** Where `folder` is served; default its path. */
  readonly remoteUrl?: string;
}

const env = { GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" };

async function git(cwd: string, ...args: readonly string[]): Promise<string> {
  const identity = ["-c", "user.name=Test", "-c", "user.email=test@localhost"];
  return (await run({ file: "git", args: [...identity, ...args], cwd, env })).trim();
}

/** The head moves every second repository to its second version and changes a parameter of every machine. */
export async function makeLargeSite(top: string, options: LargeSiteOptions): Promise<LargeSite> {
  const { machines, repositories, networks } = options;
  const cache = path.join(top, "cache");
  const template = await publishTemplate(path.join(top, "template"), cache);
  const limit = pLimit(4);
  await Promise.all(
    Array.from({ length: repositories }, (_, index) =>
      limit(() => copyTemplate(template, path.join(top, `App${index}`), index)),
    ),
  );
  const remote = options.remoteUrl ?? top;
  const each = Math.floor(machines / repositories);
  const folder = path.join(top, "site");
  await mkdir(folder);
  await git(folder, "init", "--quiet", "--initial-branch=main", ".");
  const names =
    networks === "one" ? ["all"] : Array.from({ length: repositories }, (_, index) => `net${index}`);
  const list = Object.fromEntries(names.map((name) => [name, `${name}.cvl`]));
  await writeFile(path.join(folder, "utility.yaml"), utilityYaml(list));
  const commit = async (isHead: boolean): Promise<string> => {
    for (const [index, name] of names.entries()) {
      const members = networks === "one" ? Array.from({ length: repositories }, (_, at) => at) : [index];
      await writeFile(path.join(folder, `${name}.cvl`), cvl(name, { members, each, remote, isHead }));
      await loadAppliance(gitAt(), {
        file: `${name}.cvl`,
        cwd: folder,
        versions: "locked",
        writeLock: true,
        cache,
        fetch: false,
      });
    }
    await git(folder, "add", "--all");
    await git(folder, "commit", "--quiet", "--message", isHead ? "head" : "base");
    return git(folder, "rev-parse", "HEAD");
  };
  const base = await commit(false);
  return { folder, cache, base, head: await commit(true) };
}

function cvl(
  name: string,
  options: { members: readonly number[]; each: number; remote: string; isHead: boolean },
): string {
  const { members, each, remote, isHead } = options;
  const lines = members.map((at) => {
    const version = isHead && at % 2 === 0 ? 2 : 1;
    return `import { url => "${remote}/App${at}", cvl => "App.cvl", version => "${version}" } App${at};`;
  });
  const components = members.flatMap((at) =>
    Array.from({ length: each }, (_, number) => {
      const component = `app${at}n${number}`;
      const needs = number === 0 ? "" : ` ${component}.requires = "app${at}";`;
      const provides = number === 0 ? ` ${component}.provides = "app${at}";` : "";
      return `  App${at} ${component}; ${component}.title = "${isHead ? "new" : "old"} ${component}";${needs}${provides}`;
    }),
  );
  return `${lines.join("\n")}\n${name} extends VANAppliance {\n${components.join("\n")}\n}\n`;
}

interface Template {
  readonly repository: string;
}

/** One appliance of two versions with a real disk, published as any is. */
async function publishTemplate(work: string, cache: string): Promise<Template> {
  const repository = `${work}.git`;
  await createRepository(gitAt(repository));
  await mkdir(work, { recursive: true });
  const disk = randomBytes(64 * 64 * 1024);
  const files = {
    "App.cvl": 'App extends VMAppliance { var title, hosts; vm = "app.vm.yaml"; }\n',
    "app.vm.yaml": "format: 1\nmemory: 64MiB\ndisks:\n  - { device: vda, source: root.img }\n",
  };
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(work, name), text);
  for (const chunk of [0, 9]) {
    randomBytes(64 * 1024).copy(disk, chunk * 64 * 1024);
    await writeFile(path.join(work, "root.img"), disk);
    await publish(gitAt(), { repository, cvl: "App.cvl", cwd: work, cache });
  }
  return { repository };
}

/** The same files with another amount of memory: no image is another repository's. */
async function copyTemplate({ repository }: Template, final: string, index: number): Promise<void> {
  const target = `${final}.work`;
  await git(path.dirname(target), "clone", "--quiet", "--no-checkout", repository, target);
  await git(target, "tag", "--delete", "v1", "v2");
  await git(target, "config", "filter.lfs.required", "false");
  for (const version of [1, 2]) {
    const commit = await git(target, "rev-list", "--reverse", "--all").then(
      (text) => text.split("\n")[version - 1] ?? "",
    );
    const old = await git(target, "show", `${commit}:app.vm.yaml`);
    const blob = await run({
      file: "git",
      args: ["hash-object", "-w", "--stdin"],
      cwd: target,
      env,
      input: `${old.replace("64MiB", `${64 + index}MiB`)}\n`,
    });
    await git(target, "read-tree", commit);
    await git(target, "update-index", "--cacheinfo", `100644,${blob.trim()},app.vm.yaml`);
    const tree = await git(target, "write-tree");
    const parent = version === 1 ? [] : ["-p", "v1"];
    const made = await git(target, "commit-tree", tree, ...parent, "-m", `v${version}`);
    await git(target, "tag", `v${version}`, made);
    await git(target, "update-ref", "refs/heads/main", made);
  }
  await git(path.dirname(final), "clone", "--quiet", "--bare", target, final);
}
