import js from "@eslint/js";
import tseslint from "typescript-eslint";

const NO_GIT = {
  selector: "Property[key.name='file'] > Literal[value='git']",
  message: "src/git alone starts git: ask a function of it, or add one there.",
};

const NO_USAGE = {
  selector: "Literal[value='USAGE']",
  message:
    "Only src/cli and actions know usage errors: check the argument in the verb or the action, or throw a code of its own.",
};

const NO_MAIN = {
  selector: "MemberExpression[object.type='MetaProperty'][property.name='main']",
  message:
    "false where start.mjs went on with the script in its own process: ask isMain() of scripts/is-main.ts.",
};

const NO_WHOLE_ZOD = {
  selector: "ImportDeclaration[source.value='zod'] > ImportSpecifier[imported.name='z']",
  message: 'import * as z from "zod": bundles leave out what is not used of it, 300 KB.',
};

/** Where USAGE may be written; the union of codes names it. */
const KNOW_USAGE = ["src/cli/**", "src/errors.ts"];

/** ESLint merges no options of a rule: each file needs all that is forbidden in it at once. */
const restricted = (files, ignores, ...forbidden) => ({
  files,
  ignores,
  rules: { "no-restricted-syntax": ["error", ...forbidden] },
});

export default tseslint.config(
  { ignores: ["build", "**/dist", "node_modules", ".tap", "*.js", "*.cjs", "templates"] },
  js.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowNumber: true, allowBoolean: true },
      ],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      "no-control-regex": "off",
    },
  },
  {
    // The types say which names there are, as they do for TypeScript.
    files: ["scripts/*.mjs"],
    rules: { "no-undef": "off" },
  },
  restricted(["src/**/*.ts"], ["src/git/**", ...KNOW_USAGE], NO_GIT, NO_USAGE, NO_WHOLE_ZOD),
  restricted(["src/git/**/*.ts"], [], NO_USAGE, NO_WHOLE_ZOD),
  restricted(["src/cli/**/*.ts", "actions/**/*.ts"], [], NO_GIT, NO_WHOLE_ZOD),
  restricted(["scripts/**/*.ts", "bench/**/*.ts"], [], NO_MAIN),
  {
    files: ["src/**/*.ts"],
    // Programs inherit the environment; the command line reads it, and hands it down.
    ignores: ["src/io.ts", "src/cli/cui.ts", "src/cli/process.ts"],
    rules: {
      "no-restricted-properties": [
        "error",
        {
          object: "process",
          property: "env",
          message: "the environment is handed down: take it from the Git value, the context or an option.",
        },
      ],
    },
  },
  {
    files: ["test/**/*.ts"],
    rules: {
      // tap's t.test() resolves by itself when the enclosing test ends, and t.teardown takes async work.
      "@typescript-eslint/no-floating-promises": "off",
      "@typescript-eslint/no-non-null-assertion": "off",
    },
  },
);
