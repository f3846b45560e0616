/** What hosts cannot take of a machine, told where it is written: a host would only say that it was called wrongly. */
import {
  MAX_COMPONENT_PATH,
  MAX_INTERFACE_NAME,
  MAX_INTERFACES,
  MAX_PARAMETER_CHARACTERS,
  MAX_PARAMETER_LINE,
  MAX_PARAMETER_LINES,
} from "../appliance/machine-limits.ts";
import type { Component, Element, Place } from "../cvl/tree.ts";
import { placeOf, report, type BuildContext } from "./build-context.ts";
import { displayPath, joinPath, parentPath } from "./paths.ts";
import { encodeValue, isSent } from "./sent-parameters.ts";

export function checkLimits(context: BuildContext): void {
  for (const component of context.tree.components.values()) {
    checkPath(context, component);
    if (component.kind !== "machine") continue;
    checkInterfaces(context, component);
    checkParameters(context, component);
  }
}

/** Told of the outermost component that is too deep: all below it are as well. */
function checkPath(context: BuildContext, { path, declared }: Component): void {
  if (path.length <= MAX_COMPONENT_PATH || (parentPath(path) ?? "").length > MAX_COMPONENT_PATH) return;
  refuse(context, declared, {
    message: `the path ${shorten(path)} of a component has ${path.length} characters, at most ${MAX_COMPONENT_PATH} are possible`,
    hint: "hosts name folders after it: give it, or a network around it, a shorter name",
  });
}

function checkInterfaces(context: BuildContext, machine: Component): void {
  const { interfaces, declared } = machine;
  const owner = shorten(displayPath(machine.path, context.tree.appliance));
  if (interfaces.length > MAX_INTERFACES) {
    refuse(context, declared, {
      message: `${owner} has ${interfaces.length} interfaces, a machine has at most ${MAX_INTERFACES}`,
      hint: "there is no room for more cards: leave interfaces out",
    });
  }
  for (const name of interfaces) {
    if (name.length <= MAX_INTERFACE_NAME) continue;
    refuse(context, declared, {
      message: `the name ${shorten(name)} of an interface of ${owner} has ${name.length} characters, at most ${MAX_INTERFACE_NAME} are possible`,
      hint: "give it a shorter name",
    });
  }
}

/** Values that are assigned or supplied later are counted when they are there. */
function checkParameters(context: BuildContext, machine: Component): void {
  let lines = 0;
  let characters = 0;
  for (const [name, { elements }] of machine.parameters) {
    if (!isSent(name)) continue;
    const lengths = elements.map((element) => name.length + 1 + lengthOf(element));
    lines += lengths.length;
    characters += lengths.reduce((sum, length) => sum + length, 0);
    const longest = Math.max(0, ...lengths);
    if (longest <= MAX_PARAMETER_LINE) continue;
    refuse(context, placeOf(machine, name), {
      message: `an element of ${shorten(joinPath(displayPath(machine.path, context.tree.appliance), name))} takes ${longest} characters, at most ${MAX_PARAMETER_LINE} can be sent`,
      hint: "the guest gets it as one line: give it less, or let the guest fetch it",
    });
  }
  const owner = shorten(displayPath(machine.path, context.tree.appliance));
  if (lines > MAX_PARAMETER_LINES) {
    refuse(context, machine.declared, {
      message: `the parameters of ${owner} have ${lines} elements together, at most ${MAX_PARAMETER_LINES} can be sent`,
      hint: "let the guest fetch a file in their place",
    });
  } else if (characters > MAX_PARAMETER_CHARACTERS) {
    refuse(context, machine.declared, {
      message: `the parameters of ${owner} take ${characters} characters together, at most ${MAX_PARAMETER_CHARACTERS} can be sent`,
      hint: "let the guest fetch a file in their place",
    });
  }
}

function lengthOf(element: Element): number {
  const value = typeof element === "string" ? element : "value" in element ? element.value : undefined;
  return value === undefined ? 0 : encodeValue(value).length;
}

const SHOWN = 60;

function shorten(name: string): string {
  return name.length <= SHOWN ? name : `${name.slice(0, SHOWN)}…`;
}

function refuse(
  context: BuildContext,
  place: Place,
  { message, hint }: { readonly message: string; readonly hint: string },
): void {
  report(context, { code: "NETWORK_LIMIT", message, place, hint });
}
