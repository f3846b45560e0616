/** `cui init`: from a template to a folder that is a git repository. */
import { CLIENT_HOOKS, findHooks, installHooks, type HookProgram } from "./install-hooks.ts";
import type { Git } from "../git/git.ts";
import { initRepositoryFolder } from "../publish/repository-folder.ts";
import { writeTemplate, type Template, type TemplateNames } from "./template.ts";
import { resolveActionsPin, type ActionsRelease } from "./workflow-pin.ts";

export interface InitOptions {
  readonly template: Template;
  /** Where it goes, absolute. */
  readonly directory: string;
  readonly names: TemplateNames;
  /** The release of Collective's actions that workflows use. */
  readonly actions?: ActionsRelease | undefined;
  /** Where that release is looked up; default https://github.com. */
  readonly server?: string | undefined;
  /** Add a configuration for Renovate; only for what imports something of others. */
  readonly hasRenovate?: boolean;
  /** What the hooks of the new repository call; without it none are installed. */
  readonly hooks?: HookProgram | undefined;
}

/**
 * Copies a template, fills the names in and makes the folder a git repository.
 * @throws CollectiveError INIT_FOLDER_NOT_EMPTY, INIT_TEMPLATES_MISSING, HOOKS_MISSING, REPOSITORY_UNREACHABLE
 */
export async function initAppliance(git: Git, options: InitOptions): Promise<void> {
  const { template, directory, names, server = "https://github.com" } = options;
  const actions =
    options.actions === undefined ? undefined : await resolveActionsPin(git, options.actions, server);
  if (options.hooks !== undefined) await findHooks();
  const parts = options.hasRenovate === true ? { ...template, also: ["renovate"] } : template;
  await writeTemplate(parts, directory, { ...names, actions });
  await initRepositoryFolder(git.at(directory));
  if (options.hooks !== undefined) await installHooks(git.at(directory), CLIENT_HOOKS, options.hooks);
}
