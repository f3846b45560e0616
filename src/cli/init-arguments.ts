/** The arguments of `cui init` as values: which template, and the names it is filled in with. */
import path from "node:path";
import { newSiteId } from "../site/site.ts";
import { CollectiveError } from "../errors.ts";
import { TEMPLATES, usesBase, type Template, type TemplateNames } from "../setup/template.ts";
import type { ActionsRelease } from "../setup/workflow-pin.ts";

/** @throws CollectiveError USAGE when there is no such template. */
export function parseTemplate(name: string): Template {
  const template = TEMPLATES.find((candidate) => candidate.name === name);
  if (template !== undefined) return template;
  throw new CollectiveError("USAGE", `there is no template ${JSON.stringify(name.slice(0, 80))}`, {
    hint: `the templates are ${TEMPLATES.map((candidate) => candidate.name).join(", ")}`,
  });
}

export interface NameOptions {
  /** Where the template goes; its last part gives the name when none is given. */
  readonly directory: string;
  readonly name: string | undefined;
  /** URL of the repository to derive from. */
  readonly base: string | undefined;
}

const PREDEFINED = ["Appliance", "VMAppliance", "VANAppliance", "Interface"];
const DEFAULT_BASE = "../Office";

/**
 * The names a template is filled in with.
 * @throws CollectiveError USAGE when a name is no CVL identifier, or taken.
 */
export function parseNames(template: Template, options: NameOptions): TemplateNames {
  const object = options.name ?? toIdentifier(path.basename(options.directory));
  const url = options.base ?? DEFAULT_BASE;
  const base = { url, object: baseName(url) };
  const taken = [...PREDEFINED, ...template.taken, ...(usesBase(template) ? [base.object] : [])];
  if (!/^[A-Za-z][A-Za-z0-9_]{0,63}$/.test(object)) {
    const message = `"${object.slice(0, 80)}" is no name: expected a letter, then up to 63 letters, digits and _`;
    throw new CollectiveError("USAGE", message, {
      hint: "name the appliance with --name, for example --name AcmeOffice",
    });
  }
  if (taken.includes(object)) {
    const message = `the name ${object} has a meaning already in the template ${template.name}`;
    throw new CollectiveError("USAGE", message, { hint: "name the appliance with --name" });
  }
  return { object, file: toFileName(object), base, siteId: newSiteId() };
}

/** `owner/repo@v1`. @throws CollectiveError USAGE for another form. */
export function parseActions(text: string): ActionsRelease {
  const match =
    /^([A-Za-z0-9][A-Za-z0-9-]{0,38}\/[A-Za-z0-9._-]{1,100})@([A-Za-z0-9][A-Za-z0-9._/-]{0,200})$/.exec(text);
  const [, repository, name] = match ?? [];
  if (repository !== undefined && name !== undefined) return { repository, name };
  const message = `--actions expects owner/repo@tag or owner/repo@commit, got ${JSON.stringify(text.slice(0, 200))}`;
  throw new CollectiveError("USAGE", message, { hint: "for example --actions acme/collective@v1" });
}

/** `acme-web` and `acme web` become AcmeWeb; what has capitals already keeps them. */
function toIdentifier(text: string): string {
  return text
    .split(/[^A-Za-z0-9_]+/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");
}

/** AcmeOffice becomes acme-office, DNS dns. */
function toFileName(object: string): string {
  return object
    .replace(/([a-z0-9])([A-Z])/g, "$1-$2")
    .replace(/([A-Z])([A-Z][a-z])/g, "$1-$2")
    .toLowerCase();
}

/** The object a repository holds by custom is the one its URL names: `https://…/Office.git` has Office. */
function baseName(url: string): string {
  const name = /([A-Za-z][A-Za-z0-9_]*?)(\.git)?\/*$/.exec(url)?.[1];
  if (name !== undefined && !/^-|[\s"\\\u0000-\u001f\u007f]/.test(url)) return name;
  const message = "--base expects the URL of a repository whose last part names its appliance";
  throw new CollectiveError("USAGE", message, {
    hint: "for example --base https://appliances.example.org/Office",
  });
}
