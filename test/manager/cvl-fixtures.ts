/** An appliance made of CVL texts, with images of a few bytes: what the utility decides about, without git and disks. */
import { evaluate } from "../../src/cvl/evaluate/evaluate.ts";
import { link } from "../../src/cvl/link/link.ts";
import type { ImportRequest, SourceFile } from "../../src/cvl/source.ts";
import { renderDiagnostic } from "../../src/diagnostics.ts";
import { createAppliance, type Appliance } from "../../src/manager/change/root-appliance.ts";
import type { MachineImage, VmDescription } from "../../src/appliance/machine-image.ts";
import { sampleImage } from "./describe-fixtures.ts";

export interface SampleOffice {
  /** Replaces the text of the root file. */
  readonly root?: string;
  /** Version of each imported appliance; default 1. */
  readonly versions?: Readonly<Record<string, number>>;
  /** Memory in MiB of each class; default 128. */
  readonly memory?: Readonly<Record<string, number>>;
  readonly arch?: string;
  /** Size of the web server's data disk; `none`: it has none. */
  readonly web?: string;
  /** Size of each class's program disk in MiB; default 64. */
  readonly disk?: Readonly<Record<string, number>>;
  /** What else the VM description of a class says. */
  readonly description?: Readonly<Record<string, Partial<VmDescription>>>;
  /** In place of each machine's image. */
  readonly image?: MachineImage;
  /** Name of the root object. */
  readonly object?: string;
}

export const DNS = `CVL = "0.8";
DNS extends VMAppliance {
  var domain, hosts;
  vm = "DNS.vm.yaml";
  provides = "DNS";
}
`;

export const FIREWALL = `CVL = "0.8";
Firewall extends VMAppliance {
  Interface ethernet1;
  var services;
  vm = "Firewall.vm.yaml";
  provides = "gateway";
}
`;

export const WEB = `CVL = "0.8";
Web extends VMAppliance {
  var title;
  var "sensitive" password;
  vm = "Web.vm.yaml";
  datadisks = { device => "vdb", size => "16MiB" };
  requires = "DNS";
}
`;

export const OFFICE = `CVL = "0.8";
import { url => "/repos/DNS", cvl => "DNS.cvl" } DNS;
import { url => "/repos/Firewall", cvl => "Firewall.cvl" } Firewall;
import { url => "/repos/Web", cvl => "Web.cvl" } Web;
Office extends VANAppliance {
  var "required" domain;
  DNS d;
  Firewall f;
  Web w;
  domain = "acme.org";
  d.domain = domain;
  d.hosts = { name => "www", ip => f.ethernet1.ip };
  f.services = { port => "80", ip => w.ethernet0.ip };
  w.title = "hello";
  vanIF = "f.ethernet1";
  defaultroute = f.ethernet0.ip;
}
`;

const FILES: Readonly<Record<string, string>> = { DNS, Firewall: FIREWALL, Web: WEB };

/** @throws Error with the rendered mistakes when the text does not link. */
export async function sampleAppliance(options: SampleOffice = {}): Promise<Appliance> {
  const root: SourceFile = {
    source: { url: "/site", version: null, commit: null },
    file: "office.cvl",
    displayName: "office.cvl",
    text: options.root ?? OFFICE,
  };
  const { program, diagnostics } = await link(
    root,
    { resolve: (request) => Promise.resolve(resolve(request, options)) },
    options.object === undefined ? {} : { object: options.object },
  );
  const textOf = (file: string): string | undefined =>
    program?.files.get(file)?.text ?? (file === root.displayName ? root.text : undefined);
  if (program === undefined) {
    throw new Error(diagnostics.map((diagnostic) => renderDiagnostic(diagnostic, textOf)).join("\n"));
  }
  const images = new Map(
    [...evaluate(program).tree.components.values()]
      .filter((component) => component.kind === "machine")
      .map((component) => [
        component.path,
        options.image ??
          sampleImage({
            name: component.class,
            version: options.versions?.[component.class] ?? 1,
            memoryMiB: options.memory?.[component.class] ?? 128,
            diskMiB: options.disk?.[component.class] ?? 64,
            description: options.description?.[component.class] ?? {},
            ...(options.arch === undefined ? {} : { arch: options.arch }),
            dataDevices: component.class === "Web" && options.web !== "none" ? ["vdb"] : [],
          }),
      ]),
  );
  return createAppliance({ program, images, textOf });
}

function resolve(request: ImportRequest, options: SampleOffice): SourceFile {
  const name = request.cvl.replace(/\.cvl$/, "");
  const version = options.versions?.[name] ?? 1;
  return {
    source: { url: request.url, version, commit: "c".repeat(40) },
    file: request.cvl,
    displayName: `${request.url}@v${version}:${request.cvl}`,
    text: (FILES[name] ?? "").replace(
      /.*datadisks.*\n/,
      options.web === "none"
        ? ""
        : `  datadisks = { device => "vdb", size => "${options.web ?? "16MiB"}" };\n`,
    ),
  };
}
