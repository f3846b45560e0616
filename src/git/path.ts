/** Paths inside a repository: written by strangers, so checked before they meet a tree or a folder. */

const MAX_PATH_LENGTH = 1024;

/** What is wrong with `path` as a path inside a repository (`/` between folders), or undefined when nothing is. */
export function repositoryPathProblem(path: string): string | undefined {
  if (path === "") return "is empty";
  if (path.length > MAX_PATH_LENGTH) return `is longer than ${MAX_PATH_LENGTH} characters`;
  if (/[\u0000-\u001f\u007f\\]/.test(path)) return "has a control character or a backslash";
  if (path.startsWith("/")) return "is absolute";
  const parts = path.split("/");
  if (parts.includes("..")) return "leaves its repository";
  if (parts.some((part) => part === "" || part === "." || part.toLowerCase() === ".git")) {
    return "has an empty, `.` or `.git` part";
  }
  return undefined;
}

/** `./a/b` as `a/b`: what people write, before it is checked. */
export function withoutLeadingDot(path: string): string {
  return path.startsWith("./") ? path.slice(2) : path;
}
