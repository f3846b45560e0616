/**
 * What Collective needs on a machine, each with its reason; `--install` installs what is missing.
 * It uses no packages: it runs before `npm ci`.
 */
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { isMain } from "./is-main.ts";

const root = path.dirname(import.meta.dirname);

export interface DebianPackage {
  readonly name: string;
  /** The program, or the file, that shows that it is there. */
  readonly program: string;
  readonly why: string;
}

export const debianPackages: readonly DebianPackage[] = [
  { name: "git", program: "git", why: "appliance and site repositories" },
  { name: "git-lfs", program: "git-lfs", why: "disk packs are Git LFS objects" },
  { name: "libvirt-daemon-system", program: "libvirtd", why: "runs the virtual machines" },
  { name: "libvirt-clients", program: "virsh", why: "talks to libvirt" },
  { name: "openvswitch-switch", program: "ovs-vswitchd", why: "carries the network segments" },
  { name: "qemu-system-x86", program: "qemu-system-x86_64", why: "the virtual machines themselves" },
  { name: "qemu-utils", program: "qemu-img", why: "disk images" },
  { name: "iproute2", program: "ip", why: "the lab's network namespaces" },
  { name: "util-linux", program: "unshare", why: "the lab's namespaces" },
  { name: "e2fsprogs", program: "mke2fs", why: "file systems of the example appliances" },
];

/** Only the tests and benchmarks use these. */
export const testPackages: readonly DebianPackage[] = [
  { name: "openssh-client", program: "ssh", why: "reaches host managers" },
  { name: "openssh-server", program: "sshd", why: "tests reach a host manager over SSH" },
  { name: "mmdebstrap", program: "mmdebstrap", why: "builds the Debian appliance" },
  { name: "genisoimage", program: "genisoimage", why: "cloud-init seeds" },
  { name: "tcpdump", program: "tcpdump", why: "shows that no packet leaves a lab" },
  { name: "busybox-static", program: "busybox", why: "the guest scripts are tested with its shell" },
  { name: "cpio", program: "cpio", why: "boot image of a test guest" },
  {
    name: "ovmf",
    program: "/usr/share/OVMF/OVMF_CODE_4M.fd",
    why: "firmware of machines that boot with UEFI",
  },
  { name: "shellcheck", program: "shellcheck", why: "checks the guest scripts" },
  { name: "procps", program: "ps", why: "looks for processes left behind" },
];

/** The packages whose program is not on this machine. */
export function missingPackages(packages: readonly DebianPackage[]): DebianPackage[] {
  return packages.filter(({ program }) => !isInstalled(program));
}

/** True when `npm ci` has to run: no modules yet, or a lock file newer than they are. */
function npmPackagesMissing(): boolean {
  const installed = path.join(root, "node_modules/.package-lock.json");
  if (!existsSync(installed)) return true;
  return (
    statSync(path.join(root, "package-lock.json")).mtimeMs > statSync(installed).mtimeMs + 1000 &&
    !sameLock(installed)
  );
}

/** The part of package-lock.json that is read here. */
interface LockFile {
  readonly packages: Readonly<Record<string, { readonly version?: string; readonly optional?: boolean }>>;
}

function sameLock(installed: string): boolean {
  const versions = (file: string): string =>
    Object.entries((JSON.parse(readFileSync(file, "utf8")) as LockFile).packages)
      .filter(([name, entry]) => name !== "" && entry.optional !== true)
      .map(([name, entry]) => `${name}@${entry.version ?? ""}`)
      .sort()
      .join();
  return versions(installed) === versions(path.join(root, "package-lock.json"));
}

/** Installs what is missing and says what and why; returns an error text, or undefined when all is there. */
export function install(packages: readonly DebianPackage[]): string | undefined {
  const missing = missingPackages(packages);
  if (missing.length > 0) {
    console.log("These Debian packages are missing and will be installed:");
    for (const { name, why } of missing) console.log(`  ${name.padEnd(22)} ${why}`);
    if (process.getuid?.() !== 0) {
      return `Installing Debian packages needs root. Run: sudo apt-get install ${missing.map(({ name }) => name).join(" ")}`;
    }
    // Lists that are a day old still do where nothing newer can be fetched.
    if (!aptGet(["update", "-q"])) console.log("apt-get update failed; trying with the lists that are here.");
    const names = missing.map(({ name }) => name);
    if (!aptGet(["install", "-q", "-y", "--no-install-recommends", ...names]))
      return "apt-get install failed";
  }
  if (npmPackagesMissing()) {
    console.log("The npm packages of package-lock.json are missing and will be installed (npm ci).");
    const { status } = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: root, stdio: "inherit" });
    if (status !== 0) return "npm ci failed";
  }
  return undefined;
}

function isInstalled(program: string): boolean {
  if (path.isAbsolute(program)) return existsSync(program);
  const folders = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/sbin", "/usr/local/sbin"];
  return folders.some((folder) => {
    try {
      accessSync(path.join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function aptGet(args: readonly string[]): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  return spawnSync("apt-get", args, { env, stdio: ["ignore", "inherit", "inherit"] }).status === 0;
}

if (isMain(import.meta.url)) {
  const all = [...debianPackages, ...testPackages];
  if (process.argv.includes("--install")) {
    const problem = install(all);
    if (problem !== undefined) {
      console.error(problem);
      process.exitCode = 1;
    }
  } else {
    for (const { name, program, why } of all) {
      console.log(`${isInstalled(program) ? "ok     " : "missing"} ${name.padEnd(22)} ${why}`);
    }
  }
}
