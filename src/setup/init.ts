/** `cui init`: from a template to a folder that is a git repository. */
import path from "node:path";
import { CollectiveError } from "../errors.ts";
import { CLIENT_HOOKS, findHooks, installHooks, type HookProgram } from "./install-hooks.ts";
import type { Git } from "../git/git.ts";
import { initRepositoryFolder } from "../publish/repository-folder.ts";
import {
  TEMPLATES,
  templateNames,
  usesBase,
  writeTemplate,
  type Template,
  type TemplateNames,
} from "./template.ts";
import { resolveActionsPin } from "./workflow-pin.ts";

export interface InitOptions {
  readonly template: string;
  /** Relative to `cwd`. */
  readonly directory: string;
  readonly cwd: string;
  /** Name of the object; by default made from the folder's name. */
  readonly name: string | undefined;
  /** URL of the repository to derive from. */
  readonly base: string | undefined;
  /** The release of Collective's actions that workflows use: `owner/repo@v1`. */
  readonly actions?: string | undefined;
  /** Where that release is looked up; default https://github.com. */
  readonly server?: string | undefined;
  /** Add a configuration for Renovate; only for what imports something of others. */
  readonly hasRenovate?: boolean;
  /** What the hooks of the new repository call; without it none are installed. */
  readonly hooks?: HookProgram | undefined;
}

export interface InitReport {
  readonly template: Template;
  readonly directory: string;
  readonly names: TemplateNames;
}

/**
 * Copies a template, fills the names in and makes the folder a git repository.
 * @throws CollectiveError USAGE, INIT_FOLDER_NOT_EMPTY, INIT_TEMPLATES_MISSING, HOOKS_MISSING
 */
export async function initAppliance(git: Git, options: InitOptions): Promise<InitReport> {
  const template = TEMPLATES.find(({ name }) => name === options.template);
  if (template === undefined) {
    throw new CollectiveError(
      "USAGE",
      `there is no template ${JSON.stringify(options.template.slice(0, 80))}`,
      {
        hint: `the templates are ${TEMPLATES.map(({ name }) => name).join(", ")}`,
      },
    );
  }
  const directory = path.resolve(options.cwd, options.directory);
  const names = templateNames(template, { directory, name: options.name, base: options.base });
  const isRenovated = options.hasRenovate === true;
  if (isRenovated && !usesBase(template)) {
    throw new CollectiveError(
      "USAGE",
      `--renovate goes with the templates derived and site, not ${template.name}`,
    );
  }
  const server = options.server ?? "https://github.com";
  const actions =
    options.actions === undefined ? undefined : await resolveActionsPin(git, options.actions, server);
  if (options.hooks !== undefined) await findHooks();
  await writeTemplate(isRenovated ? { ...template, also: ["renovate"] } : template, directory, {
    ...names,
    actions,
  });
  await initRepositoryFolder(git.at(directory));
  if (options.hooks !== undefined) await installHooks(git.at(directory), CLIENT_HOOKS, options.hooks);
  return { template, directory, names };
}
