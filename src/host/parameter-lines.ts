/**
 * How parameters reach a guest: one line per list element, `name=value`. In values `%` and control characters are written
 * as uppercase `%XX`, so that a line is always one line. An interface's parameters are named `ethernet0.ip`.
 */

/** The set as the guest reads it from fw_cfg. */
export function renderParameterFile(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}

/** The set as it is sent over the guest channel: an empty line ends it. */
export function renderParameterMessage(lines: readonly string[]): string {
  return `${renderParameterFile(lines)}\n`;
}

/** The lines of a set that `renderParameterFile` wrote. */
export function parseParameterFile(text: string): readonly string[] {
  return text.split("\n").slice(0, -1);
}

/** The first value of a parameter in a set, decoded; undefined when it is unset. */
export function findParameter(lines: readonly string[], name: string): string | undefined {
  const line = lines.find((candidate) => candidate.startsWith(`${name}=`));
  return line
    ?.slice(name.length + 1)
    .replace(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}
