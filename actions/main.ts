/** The front door, action.yml at the root: `command` says which of the actions beside this file runs. */
import { runAction } from "./run-action.ts";

const COMMANDS = ["check", "plan", "comment", "apply", "publish", "bump"] as const;

const name = process.env["INPUT_COMMAND"]?.trim() ?? "";
if ((COMMANDS as readonly string[]).includes(name)) {
  // All of them are in this one file; only the code of the one that is asked for runs.
  await import(`./${name}/main.ts`);
} else {
  await runAction({
    read: (inputs) => {
      inputs.required("command");
      return inputs.choice("command", COMMANDS, "check");
    },
    run: (command) => Promise.reject(new TypeError(`${command} was refused before`)),
  });
}
