/** What the runner does around an action: files for outputs and summary, read the way it reads them. */
import { existsSync, readFileSync } from "node:fs";

/** GITHUB_OUTPUT as the runner parses it: `name=value`, or `name<<delimiter`, lines, `delimiter`. */
export function parseOutputs(file: string): Record<string, string> {
  const outputs: Record<string, string> = {};
  const lines = (existsSync(file) ? readFileSync(file, "utf8") : "").split("\n");
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? "";
    const heredoc = /^([^=]*?)<<(.+)$/.exec(line);
    if (heredoc === null) {
      const [name = "", ...value] = line.split("=");
      if (line !== "") outputs[name] = value.join("=");
      continue;
    }
    const end = lines.indexOf(heredoc[2] ?? "", at + 1);
    if (end === -1) throw new Error(`no end of the output ${heredoc[1] ?? ""}`);
    outputs[heredoc[1] ?? ""] = lines.slice(at + 1, end).join("\n");
    at = end;
  }
  return outputs;
}
