/** Every mistake of a linked file that needs no image: in its values, and in how its machines lie together. */
import { checkProgram } from "../cvl/evaluate/check-program.ts";
import type { LinkedProgram } from "../cvl/link/program.ts";
import type { Diagnostic } from "../diagnostics.ts";
import { checkNetwork } from "./decide-network.ts";

/**
 * A network that a file stands for is whole; so is any object of a site's own file. A machine elsewhere, and the objects of a
 * file that stands for none, become parts of networks, which may give them what they lack.
 */
export function checkAppliance(
  program: LinkedProgram,
  { isSite }: { readonly isSite: boolean },
): readonly Diagnostic[] {
  return checkProgram(program, (tree, isRoot) => {
    const isWhole = isRoot && (isSite || tree.components.get("")?.kind === "network");
    return checkNetwork(tree, { isPart: !isWhole });
  });
}
