/** What is sent to a guest: one line per list element, `name=value`, `%` and control characters percent-encoded. */
import type { InstanceTree } from "../../cvl/tree.ts";
import { CollectiveError } from "../../errors.ts";
import type { MachineDescription } from "../../network/description.ts";
import { encodeValue } from "../../network/sent-parameters.ts";
import { interfacePath } from "../records/allocation.ts";
import { clearElements, clearValue } from "./sensitive.ts";

/**
 * The lines hold sensitive values in clear: they go to the host and nowhere else.
 * @throws CollectiveError UTILITY_PARAMETER_UNKNOWN when an element has no value yet.
 */
export function parameterLines(machine: MachineDescription, tree: InstanceTree): string[] {
  return Object.keys(machine.parameters).flatMap((name) =>
    clearElements(tree, machine, name).map((element) => {
      const value = clearValue(element);
      if (value === undefined) throw unknown(interfacePath(machine.path, name));
      return `${name}=${encodeValue(value)}`;
    }),
  );
}

function unknown(parameter: string): CollectiveError {
  return new CollectiveError(
    "UTILITY_PARAMETER_UNKNOWN",
    `${parameter} has no value when it should be sent`,
    {
      hint: "an element of it is made from a parameter that nothing sets or assigns; `cui eval` shows which",
    },
  );
}
