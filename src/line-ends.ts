/** A text that is written anew, in the manner of the one it replaces: byte order mark, line ends, a newline at the end or none. */

const BYTE_ORDER_MARK = "\ufeff";

/** `text` has line feeds alone. A file that was empty, or has one line, has no manner of its own. */
export function inManner(before: string, text: string): string {
  if (before.trim() === "") return text;
  const plain = text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
  const ended = before.endsWith("\n") ? plain : plain.replace(/\n+$/, "");
  const isWindows = /^[^\n]*\r\n/.test(before);
  const lines = ended.replaceAll("\r\n", "\n");
  return (
    (before.startsWith(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK : "") +
    (isWindows ? lines.replaceAll("\n", "\r\n") : lines)
  );
}
