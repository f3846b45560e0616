import { test } from "tap";
import { lineAndColumn } from "../../src/diagnostics.ts";
import { diskIndexPath, parseVmDescription } from "../../src/appliance/vm-description.ts";

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

test("mistakes in a .vmx are diagnostics at their lines", (t) => {
  t.same(mistakes('memsize = "many"\nnumvcpus = 1\nide0:0.fileName = "../x.vmdk"\n', "x.vmx"), [
    '2:1 VM_DESCRIPTION_INVALID expected `key = "value"`',
    "1:1 VM_DESCRIPTION_INVALID memsize: expected a number from 1 to 67108864",
    "3:1 VM_DESCRIPTION_INVALID ide0:0: the path leaves its repository",
  ]);
  t.end();
});
