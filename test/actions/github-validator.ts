/**
 * GitHub's own validator of workflows and actions, the one in its editors: parser, schemas, expressions and their contexts, and the
 * inputs a step passes, against those the action has. It loads its schemas as modules, which only a bundler does on every Node.
 */
import path from "node:path";
import { build } from "esbuild";

/** `actions/checkout@v7`, taken apart. */
export interface ActionReference {
  readonly owner: string;
  readonly name: string;
  readonly ref: string;
  readonly path?: string;
}

/** What the validator wants to know of an action. */
export interface ActionMetadata {
  readonly inputs: Readonly<
    Record<string, { readonly required?: boolean; readonly default?: string | undefined }>
  >;
}

export interface GitHubValidator {
  /** What is wrong with a workflow; an action that `lookUp` does not know is. */
  readonly validateWorkflow: (
    text: string,
    lookUp: (action: ActionReference) => ActionMetadata | undefined,
  ) => Promise<string[]>;
  /** What is wrong with an action.yml. Runtimes that were removed are not: see runtimes.ts. */
  readonly validateAction: (text: string) => Promise<string[]>;
}

const SOURCE = `
  import { registerLogger, validate } from "@actions/languageservice";

  // It logs what it throws, and says that nothing is wrong.
  const thrown = [];
  registerLogger({ error: (message) => thrown.push(message), warn() {}, info() {}, log() {} });

  // It remembers by address, so each text gets its own.
  let count = 0;
  async function messages(file, text, config) {
    const uri = "file:///" + String((count += 1)) + "/" + file;
    const diagnostics = await validate({ uri, getText: () => text }, config);
    return [...diagnostics.map(({ message }) => message), ...thrown.splice(0)];
  }

  export const validateWorkflow = (text, lookUp) =>
    messages(".github/workflows/x.yml", text, {
      actionsMetadataProvider: { fetchActionMetadata: async (action) => lookUp(action) },
    });
  export const validateAction = (text) => messages("action.yml", text);
`;

/** Bundles the validator into `folder` and loads it. */
export async function loadGitHubValidator(folder: string): Promise<GitHubValidator> {
  const outfile = path.join(folder, "validator.mjs");
  await build({
    stdin: { contents: SOURCE, resolveDir: process.cwd(), loader: "js" },
    ...{ bundle: true, platform: "node", format: "esm", outfile, logLevel: "silent" },
    banner: { js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);" },
  });
  return (await import(outfile)) as GitHubValidator;
}
