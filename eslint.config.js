import js from "@eslint/js";
import tseslint from "typescript-eslint";

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
  {
    files: ["src/**/*.ts", "actions/**/*.ts"],
    ignores: ["src/git/**"],
    rules: {
      "no-restricted-syntax": [
        "error",
        {
          selector: "Property[key.name='file'] > Literal[value='git']",
          message: "src/git alone starts git: ask a function of it, or add one there.",
        },
      ],
    },
  },
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
