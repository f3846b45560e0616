/**
 * Templates: folders under `templates/` that `cui init` copies. In file names and texts `@Name@` stands for the appliance's
 * name (AcmeOffice), `@name@` for it as a file name (acme-office), `@Base@` and `@base_url@` for what it derives from, `@site_id@`
 * for a site's own id; a
 * name that begins with `dot-` gets its dot back.
 */
import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { CollectiveError } from "../errors.ts";
import { pinActions, type ActionsPin } from "./workflow-pin.ts";
import { packageFolder } from "./package-folder.ts";

export interface Template {
  readonly name: string;
  readonly summary: string;
  /** What it makes; only a `machine` gets the guest scripts and is built. */
  readonly kind: "machine" | "network" | "derived" | "site";
  /** Names its CVL binds already. */
  readonly taken: readonly string[];
  /** Further folders of `templates/` that go into the same place. */
  readonly also?: readonly string[];
}

export const TEMPLATES: readonly Template[] = [
  {
    name: "appliance",
    summary: "a tiny appliance: kernel, busybox and a service",
    kind: "machine",
    taken: [],
  },
  { name: "debian", summary: "a Debian system with systemd", kind: "machine", taken: [] },
  { name: "firewall", summary: "a gateway: NAT and forwarded services", kind: "machine", taken: [] },
  { name: "dns", summary: "a name server", kind: "machine", taken: [] },
  { name: "web", summary: "a web server with a data disk", kind: "machine", taken: [] },
  {
    name: "network",
    summary: "a gateway, a name server and a web server",
    kind: "network",
    taken: ["Firewall", "Dns", "Web"],
  },
  { name: "derived", summary: "an appliance that derives from another", kind: "derived", taken: [] },
  { name: "site", summary: "what a site runs, and where", kind: "site", taken: [] },
];

export interface TemplateNames {
  /** Of the object, `AcmeOffice`. */
  readonly object: string;
  /** Of files, `acme-office`. */
  readonly file: string;
  readonly base: { readonly object: string; readonly url: string };
  /** Of a site: its own id. */
  readonly siteId: string;
  /** The release of Collective's actions that workflows use; undefined: the mark of the templates stays. */
  readonly actions?: ActionsPin | undefined;
}

/** Whether the template derives from `--base`. */
export function usesBase(template: Template): boolean {
  return template.kind === "derived" || template.kind === "site";
}

/**
 * Writes a template into a folder that is absent or empty; when that fails, what was written is removed.
 * @throws CollectiveError INIT_FOLDER_NOT_EMPTY, INIT_TEMPLATES_MISSING
 */
export async function writeTemplate(
  template: Template,
  directory: string,
  names: TemplateNames,
): Promise<void> {
  const source = await findTemplates();
  const existed = await refuseUsedFolder(directory);
  try {
    for (const folder of [template.name, ...(template.also ?? [])]) {
      await copyFilled(path.join(source, folder), directory, names);
    }
    if (template.kind === "machine") {
      await copyFilled(path.join(source, "guest"), path.join(directory, "guest"), names);
    }
    await writeWorkflows(template, path.join(source, "workflows"), { directory, names });
  } catch (error) {
    await clear(directory, existed);
    throw error;
  }
}

/** What imports other appliances has newer versions of them proposed, previewed, and published as its own next version. */
const IMPORTING = {
  "check.yml": "check.yml",
  "plan.yml": "plan.yml",
  "bump.yml": "bump.yml",
  "publish-next.yml": "publish.yml",
};

/** File in `templates/workflows` and its name in the new repository. */
const WORKFLOWS: Readonly<Record<Template["kind"], Readonly<Record<string, string>>>> = {
  machine: { "check.yml": "check.yml", "publish.yml": "publish.yml" },
  network: IMPORTING,
  derived: IMPORTING,
  site: {
    "check.yml": "check.yml",
    "plan.yml": "plan.yml",
    "comment.yml": "comment.yml",
    "apply.yml": "apply.yml",
    "bump.yml": "bump.yml",
  },
};

async function writeWorkflows(
  template: Template,
  source: string,
  { directory, names }: { readonly directory: string; readonly names: TemplateNames },
): Promise<void> {
  const folder = path.join(directory, ".github/workflows");
  await mkdir(folder, { recursive: true });
  for (const [from, to] of Object.entries(WORKFLOWS[template.kind])) {
    const text = await readFile(path.join(source, from), "utf8");
    await writeFile(path.join(folder, to), pinActions(text, names.actions), { flag: "wx" });
  }
}

async function findTemplates(): Promise<string> {
  const folder = await packageFolder("templates", "guest/install.sh");
  if (folder !== undefined) return folder;
  throw new CollectiveError("INIT_TEMPLATES_MISSING", "the folder templates is not where cui is installed", {
    hint: "install cui anew; its package holds dist and templates side by side",
  });
}

async function refuseUsedFolder(directory: string): Promise<boolean> {
  const entries = await readdir(directory).catch((error: unknown) => {
    if (isCode(error, "ENOENT")) return undefined;
    if (isCode(error, "ENOTDIR")) return ["."];
    throw error;
  });
  if (entries !== undefined && entries.length > 0) {
    throw new CollectiveError("INIT_FOLDER_NOT_EMPTY", `${directory} is not an empty folder`, {
      hint: "name a new folder, or one without files",
    });
  }
  return entries !== undefined;
}

async function copyFilled(source: string, target: string, names: TemplateNames): Promise<void> {
  await mkdir(target, { recursive: true });
  for (const entry of await readdir(source, { withFileTypes: true })) {
    const from = path.join(source, entry.name);
    const to = path.join(target, fill(entry.name.replace(/^dot-/, "."), names));
    if (entry.isDirectory()) await copyFilled(from, to, names);
    else await copyFile(from, to, names);
  }
}

async function copyFile(from: string, to: string, names: TemplateNames): Promise<void> {
  const { mode } = await stat(from);
  await writeFile(to, fill(await readFile(from, "utf8"), names), { flag: "wx" });
  // A package may have lost all of a file's mode but this.
  await chmod(to, (mode & 0o100) === 0 ? 0o644 : 0o755);
}

function fill(text: string, { object, file, base, siteId }: TemplateNames): string {
  return text
    .replaceAll("@Name@", () => object)
    .replaceAll("@name@", () => file)
    .replaceAll("@Base@", () => base.object)
    .replaceAll("@base_url@", () => base.url)
    .replaceAll("@site_id@", () => siteId);
}

async function clear(directory: string, existed: boolean): Promise<void> {
  if (!existed) await rm(directory, { recursive: true, force: true });
  else
    for (const entry of await readdir(directory)) await rm(path.join(directory, entry), { recursive: true });
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
