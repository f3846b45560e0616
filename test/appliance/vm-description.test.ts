import { test } from "tap";
import { lineAndColumn } from "../../src/diagnostics.ts";
import { diskIndexPath } from "../../src/appliance/disk-name.ts";
import { maxVmDescriptionBytes, parseVmDescription } from "../../src/appliance/vm-description.ts";

const DNS = `# dns.vm.yaml
format: 1
arch: x86_64
memory: 256MiB
cpus: 1
firmware: bios
kernel: vmlinuz
initrd: initrd.img
cmdline: console=ttyS0 root=/dev/vda
nic: virtio
disks:
  - device: vda
    bus: virtio
    source: root.qcow2
  - device: vdb
ready: guest
parameters: fw_cfg
`;

/** Code, line, column and message of each diagnostic. */
function mistakes(text: string, file = "x.vm.yaml"): string[] {
  return parseVmDescription(text, file).diagnostics.map(({ code, span, message }) => {
    const { line, column } = lineAndColumn(text, span?.start ?? 0);
    return `${line}:${column} ${code} ${message}`;
  });
}

test("a VM description is read, with defaults for what it does not say", (t) => {
  t.same(parseVmDescription(DNS, "dns.vm.yaml"), {
    diagnostics: [],
    description: {
      arch: "x86_64",
      memoryBytes: 256 * 1024 * 1024,
      cpus: 1,
      firmware: "bios",
      kernel: "vmlinuz",
      initrd: "initrd.img",
      cmdline: "console=ttyS0 root=/dev/vda",
      nic: "virtio",
      disks: [
        { device: "vda", bus: "virtio", source: "root.qcow2" },
        { device: "vdb", bus: "virtio", source: undefined },
      ],
      ready: "guest",
      parameters: "fw_cfg",
    },
  });
  const small = parseVmDescription("format: 1\nmemory: 64\n", "x.vm.yaml").description;
  t.match(small, { memoryBytes: 64 * 1024 * 1024, cpus: 1, firmware: "bios", ready: "guest", disks: [] });
  t.equal(diskIndexPath("root.qcow2"), "disks/root.index");
  t.equal(diskIndexPath("images/root.v2.img"), "disks/root.v2.index");
  t.end();
});

test("every mistake is a diagnostic at its place", (t) => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ["memory: 1\n", ["1:1 VM_DESCRIPTION_INVALID expected the line `format: 1` (understood: 1)"]],
    ["format: 2\nmemory: 1\n", ["1:9 VM_DESCRIPTION_INVALID format 2 is not understood (understood: 1)"]],
    [
      "format: 1\n",
      ["1:1 VM_DESCRIPTION_INVALID memory: expected a size such as 256MiB or 2GiB (a bare number is MiB)"],
    ],
    [
      "format: 1\nmemory: 256 bananas\ncolour: red\n",
      [
        "2:9 VM_DESCRIPTION_INVALID memory: expected a size such as 256MiB or 2GiB (a bare number is MiB)",
        '3:1 VM_DESCRIPTION_INVALID the key "colour" is not known here',
      ],
    ],
    [
      "format: 1\nmemory: 1\ndisks:\n  - {device: vda, bus: ide}\n",
      ["4:14 VM_DESCRIPTION_INVALID the bus ide has devices hda, hdb …, not vda"],
    ],
    [
      "format: 1\nmemory: 1\ndisks:\n  - device: vda\n  - device: vda\n",
      ["5:13 VM_DESCRIPTION_INVALID the device vda is there twice"],
    ],
    [
      "format: 1\nmemory: 1\ndisks:\n  - {device: vda, source: a/root.raw}\n  - {device: vdb, source: b/root.raw}\n",
      ["5:27 VM_DESCRIPTION_INVALID two disks are named root"],
    ],
    [
      "format: 1\nmemory: 1\ndisks:\n  - {device: vda, source: ../root.raw}\n",
      ["4:27 VM_DESCRIPTION_INVALID disks.0.source: the path leaves its repository"],
    ],
    [
      "format: 1\nmemory: 1\nkernel: /etc/passwd\n",
      ["3:9 VM_DESCRIPTION_INVALID kernel: the path is absolute"],
    ],
    ["format: 1\nmemory: 1\ninitrd: x\n", ["3:9 VM_DESCRIPTION_INVALID an initrd needs a kernel beside it"]],
    [
      "format: 1\nmemory: 1\ncmdline: x\n",
      ["3:10 VM_DESCRIPTION_INVALID cmdline is for direct boot: it needs a kernel beside it"],
    ],
    [
      "format: 1\nmemory: &a 1\ncpus: *a\n",
      ["1:1 VM_DESCRIPTION_INVALID aliases (*name) are not allowed here"],
    ],
    ["- 1\n", ["1:1 VM_DESCRIPTION_INVALID expected a map with `format: 1`"]],
  ];
  for (const [text, expected] of cases) t.same(mistakes(text), expected, text);
  t.ok(mistakes("format: 1\nmemory: [1\n").length > 0, "broken YAML");
  t.ok(mistakes("format: 1\nmemory: 1\nmemory: 2\n")[0]?.startsWith("3:1"), "a key twice");
  t.ok(mistakes(`format: 1\nmemory: ${"[".repeat(30_000)}`).length > 0, "deep nesting ends");
  t.ok(mistakes('format: 1\nmemory: 1\ncmdline: "a\\u0007"\nkernel: k\n')[0]?.includes("control character"));
  t.end();
});

const VMX = `.encoding = "UTF-8"
# a comment
memsize = "512"
numvcpus = "2"
guestOS = "debian12-64"
firmware = "efi"
scsi0.present = "TRUE"
scsi0:0.present = "TRUE"
scsi0:0.fileName = "root.vmdk"
ide0:1.present = "TRUE"
ide0:1.fileName = "data.vmdk"
ide1:0.present = "TRUE"
ide1:0.deviceType = "cdrom-image"
ide1:0.fileName = "debian.iso"
sata0:0.present = "FALSE"
sata0:0.fileName = "old.vmdk"
nvme0:0.present = "TRUE"
nvme0:0.fileName = "fast.vmdk"
ethernet0.present = "TRUE"
ethernet0.virtualDev = "vmxnet3"
collective.ready = "agent"
`;

test("a .vmx is read as well; its disks keep their names", (t) => {
  const { description, diagnostics } = parseVmDescription(VMX, "desk.vmx");
  t.same(
    diagnostics.map(({ severity, message }) => `${severity} ${message}`),
    ["warning nvme0:0: NVMe disks are given to the machine as SATA"],
  );
  t.same(description, {
    arch: "x86_64",
    memoryBytes: 512 * 1024 * 1024,
    cpus: 2,
    firmware: "uefi",
    kernel: undefined,
    initrd: undefined,
    cmdline: undefined,
    nic: "e1000e",
    disks: [
      { device: "ide0:1", bus: "ide", source: "data.vmdk" },
      { device: "nvme0:0", bus: "sata", source: "fast.vmdk" },
      { device: "scsi0:0", bus: "scsi", source: "root.vmdk" },
    ],
    ready: "agent",
    parameters: "fw_cfg",
  });
  t.end();
});

const ROOT = 'scsi0:0.present = "TRUE"\nscsi0:0.fileName = "root.vmdk"\n';

test("a .vmx as VMware's programs and people leave it", (t) => {
  for (const [what, text, sources] of [
    [
      "a drive without a medium",
      `ide1:0.present = "TRUE"\nide1:0.deviceType = "cdrom-image"\nide1:0.fileName = \n${ROOT}`,
    ],
    [
      "values without quotes",
      "config.version = 4\nmemsize = 256\nscsi0:0.present = TRUE\nscsi0:0.fileName = root.vmdk\n",
    ],
    ["a name left over", `ide1:0.fileName = "auto detect"\n${ROOT}`],
    ["an absent device", `ide1:0.present = FALSE\nide1:0.fileName = "gone.vmdk"\n${ROOT}`],
    [
      "a disk of an absent controller",
      `scsi1.present = "FALSE"\nscsi1:0.present = "TRUE"\nscsi1:0.fileName = "gone.vmdk"\n${ROOT}`,
    ],
    ["a controller that says nothing", `scsi0.present = ""\n${ROOT}`],
    ["odd keys", `guestinfo.cloud-init.x = "1"\nusb_xhci:4.present = "TRUE"\nguestinfo.a[0]/b = ""\n${ROOT}`],
    ["comments", `#!/usr/bin/vmware\n  # text\nmemsize = "256" # MiB\nnumvcpus = 2 # of them\n${ROOT}`],
    ["a mark and returns", `\u{FEFF}.encoding = "UTF-8"\r\n\r\n${ROOT.replaceAll("\n", "\r\n")}`],
    ["no end of line", ROOT.trimEnd()],
    ["quotes inside", `annotation = "say |22hi|22|0A"\n${ROOT}`],
    ["empty numbers", `memsize = ""\nnumvcpus =\n${ROOT}`],
    ["types of disks", `scsi0:0.deviceType = "scsi-hardDisk"\n${ROOT}`],
    ["VMware's own name", ROOT.replace("root", "Virtual Disk"), ["Virtual Disk.vmdk"]],
    ["other names", ROOT.replace("root", "Windows (2), größer"), ["Windows (2), größer.vmdk"]],
  ] as const) {
    const { description, diagnostics } = parseVmDescription(text, "x.vmx");
    t.same(diagnostics, [], what);
    t.same(
      description?.disks.map(({ source }) => source),
      sources ?? ["root.vmdk"],
      what,
    );
  }
  const guestinfo = `guestinfo.ignition.config.data = "${"A".repeat(900_000)}"\n${ROOT}`;
  t.ok(guestinfo.length < maxVmDescriptionBytes("x.vmx"), "large settings of a guest fit");
  t.equal(maxVmDescriptionBytes("x.vm.yaml"), 64 * 1024);
  t.same(parseVmDescription(guestinfo, "x.vmx").diagnostics, []);
  t.end();
});

test("mistakes in a .vmx are diagnostics at their lines", (t) => {
  const disk = (source: string): string => `ide0:0.present = "TRUE"\nide0:0.fileName = "${source}"\n`;
  t.same(mistakes(`memsize = "many"\nnumvcpus 1\n${disk("../x.vmdk")}`, "x.vmx"), [
    '2:1 VM_DESCRIPTION_INVALID expected `key = "value"`',
    "1:1 VM_DESCRIPTION_INVALID memsize: expected a number from 1 to 67108864",
    "4:1 VM_DESCRIPTION_INVALID ide0:0: the path leaves its repository",
  ]);
  t.same(mistakes(disk(""), "x.vmx"), ["2:1 VM_DESCRIPTION_INVALID ide0:0: the path is empty"]);
  t.same(mistakes('ide0:0.present = "TRUE"\n', "x.vmx"), [
    "1:1 VM_DESCRIPTION_INVALID ide0:0: the path is empty",
  ]);
  t.same(mistakes(`${disk("a.vmdk")}ide0:0.deviceType = "rawDisk"\n`, "x.vmx"), [
    '3:1 VM_DESCRIPTION_INVALID ide0:0: expected a disk in a file, found the type "rawDisk", a disk of the machine VMware ran on, which no repository holds',
  ]);
  t.same(mistakes(`${disk("a.vmdk")}ide0:0.deviceType = "tape"\n`, "x.vmx"), [
    '3:1 VM_DESCRIPTION_INVALID ide0:0: expected a disk in a file, found the type "tape", which is not known',
  ]);
  t.same(mistakes('encryption.keySafe = "x"\nencryption.data = "y"\n', "x.vmx"), [
    "2:1 VM_DESCRIPTION_INVALID the machine is encrypted: what it is cannot be read",
  ]);
  t.same(mistakes(disk(`${"ä".repeat(40)}.vmdk`), "x.vmx"), [
    "2:1 VM_DESCRIPTION_INVALID ide0:0: the disk's file name is too long (240 characters, encoded)",
  ]);
  t.equal(mistakes("x\n".repeat(100_000), "x.vmx").length, 100, "not more than anybody reads");
  t.equal(mistakes(`a =${" ".repeat(900_000)}x"\n`, "x.vmx").length, 1, "a long line takes no time");
  t.end();
});

test("disks whose names differ have different indexes", (t) => {
  for (const [source, index] of [
    ["root.qcow2", "disks/root.index"],
    ["a/root.qcow2", "disks/root.index"],
    ["root.tar.img", "disks/root.tar.index"],
    ["Virtual Disk.vmdk", "disks/Virtual%20Disk.index"],
    ["Virtual%20Disk.vmdk", "disks/Virtual%2520Disk.index"],
    ["-x.img", "disks/%2Dx.index"],
    ["a*?[b].img", "disks/a%2A%3F%5Bb%5D.index"],
    ["größer.vmdk", "disks/gr%C3%B6%C3%9Fer.index"],
  ] as const) {
    t.equal(diskIndexPath(source), index);
  }
  t.same(mistakes("format: 1\nmemory: 1\ndisks:\n  - {device: vda, source: .img}\n"), [
    "4:27 VM_DESCRIPTION_INVALID the disk's file has no name before its ending",
  ]);
  t.end();
});
