/** A site with its appliance repositories, all real git, in a folder of the test. */
import { mkdirSync } from "node:fs";
import path from "node:path";
import { git, makeVersions, writeFiles } from "../git/git-fixture.ts";

export const DISKLESS = "format: 1\nmemory: 64MiB\ndisks: []\n";
export const WEB = 'Web extends VMAppliance { var title; vm = "web.vm.yaml"; requires = "DNS"; }\n';
export const DNS = 'DNS extends VMAppliance { var hosts; vm = "dns.vm.yaml"; provides = "DNS"; }\n';

export interface SiteFixture {
  /** The site's clone. */
  readonly folder: string;
  readonly repositories: string;
  readonly cache: string;
  /** Commits files (null removes one) on the current branch; resolves to the commit. */
  commit(files: Readonly<Record<string, string | null>>): string;
  /** A CVL file of DNS and Web. */
  office(options?: OfficeOptions): string;
}

export interface OfficeOptions {
  readonly title?: string;
  readonly dns?: number;
  readonly more?: string;
  readonly object?: string;
}

/** DNS v1 to v3 (v2 with more memory, v3 the same as v2), Web v1; an empty site. */
export function makeSite(top: string): SiteFixture {
  const repositories = path.join(top, "repos");
  const larger = DISKLESS.replace("64", "128");
  makeVersions(path.join(repositories, "DNS"), [
    { "DNS.cvl": DNS, "dns.vm.yaml": DISKLESS },
    { "dns.vm.yaml": larger },
    {},
  ]);
  makeVersions(path.join(repositories, "Web"), [{ "Web.cvl": WEB, "web.vm.yaml": DISKLESS }]);
  const folder = path.join(top, "site");
  mkdirSync(folder);
  git(folder, "init", "--quiet", "--initial-branch=main", ".");
  return {
    folder,
    repositories,
    cache: path.join(top, "cache"),
    commit: (files) => {
      for (const [name, content] of Object.entries(files)) {
        if (content === null) git(folder, "rm", "--quiet", "--", name);
        else writeFiles(folder, { [name]: content });
      }
      git(folder, "add", "--all");
      git(folder, "commit", "--quiet", "--allow-empty", "--message", "change");
      return git(folder, "rev-parse", "HEAD");
    },
    office: ({ title = "Acme", dns = 1, more = "", object = "Office" } = {}) => `
import { url => "${repositories}/DNS", cvl => "DNS.cvl", version => "${dns}" } DNS;
import { url => "${repositories}/Web", cvl => "Web.cvl" } Web;
${object} extends VANAppliance {
  DNS d;
  Web w;
  d.hosts = { name => w.name, ip => w.ethernet0.ip };
  w.title = "${title}";
  ${more}
}
`,
  };
}

/** A utility.yaml with these networks and more lines. */
export function utilityYaml(networks: Readonly<Record<string, string>>, more = ""): string {
  const list = Object.entries(networks).map(([id, file]) => `  - { id: ${id}, file: ${file} }\n`);
  return `format: 1\nvlans: [100]\n${list.length === 0 ? "" : `networks:\n${list.join("")}`}${more}`;
}
