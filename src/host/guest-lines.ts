/** What a guest says over its channel: sd_notify style lines, from a guest that may be hostile. */

/** Longer lines are dropped whole. */
const MAX_LINE_BYTES = 4096;
const MAX_STATUS_LENGTH = 400;

export type GuestMessage =
  | { readonly kind: "hello" | "ready" | "reloaded" }
  | { readonly kind: "status" | "failed"; readonly text: string };

/** Undefined for lines that mean nothing to this release. */
export function parseGuestLine(line: string): GuestMessage | undefined {
  switch (line) {
    case "HELLO=1":
      return { kind: "hello" };
    case "READY=1":
      return { kind: "ready" };
    case "RELOADED=1":
      return { kind: "reloaded" };
  }
  const equals = line.indexOf("=");
  const name = line.slice(0, equals);
  const text = cleanStatus(line.slice(equals + 1));
  if (name === "STATUS") return { kind: "status", text };
  if (name === "FAILED") return { kind: "failed", text };
  return undefined;
}

/** Splits a stream into lines without ever keeping more than one line of bounded length. */
export function createLineSplitter(onLine: (line: string) => void): (chunk: Uint8Array) => void {
  let kept = Buffer.alloc(0);
  let dropping = false;
  return (chunk) => {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      const length = kept.length + end - start;
      if (!dropping && length <= MAX_LINE_BYTES) {
        const line = Buffer.concat([kept, chunk.subarray(start, end)]).toString("utf8");
        onLine(line.endsWith("\r") ? line.slice(0, -1) : line);
      }
      kept = Buffer.alloc(0);
      dropping = false;
      start = end + 1;
    }
    if (dropping) return;
    if (kept.length + chunk.length - start > MAX_LINE_BYTES) {
      kept = Buffer.alloc(0);
      dropping = true;
    } else {
      kept = Buffer.concat([kept, chunk.subarray(start)]);
    }
  };
}

/** Control and text-direction characters of a guest must reach no terminal. */
function cleanStatus(text: string): string {
  return text
    .replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "")
    .slice(0, MAX_STATUS_LENGTH);
}
