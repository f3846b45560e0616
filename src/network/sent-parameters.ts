/** Which parameters a guest gets, and how a value is written on its line. */

/** The utility's own business: which image, and the order of starts. */
const NOT_SENT: ReadonlySet<string> = new Set(["vm", "requires", "provides"]);

export function isSent(parameter: string): boolean {
  return !NOT_SENT.has(parameter);
}

/** UTF-8 stays as it is; `%` and control characters become uppercase `%XX` of their bytes. */
export function encodeValue(value: string): string {
  return value.replace(/[%\u0000-\u001f\u007f-\u009f]/g, (character) =>
    [...Buffer.from(character, "utf8")]
      .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`)
      .join(""),
  );
}
