/** The bytes of a CVL file to text: UTF-8, and nothing that only looks like it. */
import { makeDiagnostic, type Diagnostic } from "../../diagnostics.ts";

/** The text, with U+FFFD for what is no UTF-8 and a diagnostic at the first such place. */
export function decodeText(
  bytes: Uint8Array,
  displayName: string,
): { readonly text: string; readonly diagnostics: readonly Diagnostic[] } {
  try {
    return {
      text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes),
      diagnostics: [],
    };
  } catch {
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
    const start = findFirstReplaced(text, bytes);
    const diagnostic = makeDiagnostic(
      "CVL_ENCODING",
      "expected UTF-8, got bytes that are none",
      { file: displayName, start, end: start + 1 },
      { hint: "save the file as UTF-8" },
    );
    return { text, diagnostics: [diagnostic] };
  }
}

/** Before the first invalid byte the text encodes to exactly the bytes it was decoded from. */
function findFirstReplaced(text: string, bytes: Uint8Array): number {
  let from = 0;
  let byteOffset = 0;
  for (let at = text.indexOf("\u{FFFD}"); at !== -1; at = text.indexOf("\u{FFFD}", at + 1)) {
    byteOffset += Buffer.byteLength(text.slice(from, at));
    from = at;
    const isReal =
      bytes[byteOffset] === 0xef && bytes[byteOffset + 1] === 0xbf && bytes[byteOffset + 2] === 0xbd;
    if (!isReal) return at;
  }
  return 0;
}
