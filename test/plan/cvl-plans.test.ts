/** Plans between two versions of real CVL texts: what hand-made trees cannot show. */
import t from "tap";
import { buildNetwork } from "../../src/network/build-network.ts";
import type { NetworkDescription } from "../../src/network/description.ts";
import { diffNetworks } from "../../src/plan/diff-networks.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { evaluateText } from "../cvl/programs.ts";
import { makeImage } from "../network/fixtures.ts";

const APPLIANCES = {
  "dns@1:DNS.cvl": 'DNS extends VMAppliance { var domain, dnshosts; vm = "dns.vm.yaml"; provides = "DNS"; }',
  "fw@1:Firewall.cvl": 'Firewall extends VMAppliance { Interface ethernet1; vm = "fw.vm.yaml"; }',
  "web@1:Web.cvl":
    'Web extends VMAppliance { var "required" title; var "sensitive" password; var login; vm = "web.vm.yaml"; requires = "DNS"; login = { user => "admin", password => password }; }',
  "web@2:Web.cvl":
    'Web extends VMAppliance { var "required" title; var "sensitive" password; var login; vm = "web.vm.yaml"; requires = "DNS"; login = { user => "admin", password => password }; }',
};

const OFFICE = `
import { url => "dns", cvl => "DNS.cvl" } DNS;
import { url => "fw", cvl => "Firewall.cvl" } Firewall;
import { url => "web", cvl => "Web.cvl", version => "1" } Web;
Office extends VANAppliance {
  DNS d;
  Firewall f;
  Web w;
  d.dnshosts = { name => w.name, ip => w.ethernet0.ip };
  w.title = "Acme";
  vanIF = "f.ethernet1";
  defaultroute = f.ethernet0.ip;
}
`;

async function describe(text: string, assigned?: Record<string, string>): Promise<NetworkDescription> {
  const values = new Map(Object.entries(assigned ?? {}).map(([path, value]) => [path, [value]]));
  const { tree, diagnostics } = await evaluateText(text, APPLIANCES, { assigned: values });
  t.same(diagnostics, []);
  const images = new Map(
    [...tree.components.values()]
      .filter((component) => component.kind === "machine")
      .map(({ path, class: name, source }) => [path, makeImage(name, { version: source.version })] as const),
  );
  const built = buildNetwork(tree, images);
  t.same(built.diagnostics, []);
  return built.network!;
}

async function planOf(before: string, after: string): Promise<Plan> {
  return diffNetworks(await describe(before), await describe(after));
}

function summary(plan: Plan): string[] {
  return plan.actions.flatMap(({ id, reasons }) => [
    id,
    ...reasons.map(({ text, place }) => `  ${text} @ ${place ?? ""}`),
  ]);
}

t.test("the office of the paper: topology, default routes and sensitive values of real CVL", async (t) => {
  const network = await describe(OFFICE);
  t.equal(network.segments[""]?.gateway, "f.ethernet0");
  t.same(network.machines["f"]?.parameters["ethernet0.defaultroute"], []);
  t.same(network.machines["w"]?.parameters["ethernet0.defaultroute"], [
    { kind: "unknown", waitsFor: ["f.ethernet0.ip"] },
  ]);
  t.match(network.machines["w"]?.parameters["password"], [{ kind: "sensitive", from: ["w.password"] }]);
  t.match(network.machines["w"]?.origins["title"], { file: "root.cvl", line: 10 });
  t.match(network.machines["w"]?.origins["requires"], { file: "web@v1:Web.cvl", line: 1 });
});

t.test("with assigned addresses the gateway is found all the same", async (t) => {
  const network = await describe(OFFICE, { "f.ethernet0.ip": "10.0.7.1", "w.ethernet0.ip": "10.0.7.3" });
  t.equal(network.segments[""]?.gateway, "f.ethernet0");
  t.same(
    network.machines["w"]?.interfaces["ethernet0"]?.ip,
    [],
    "an assigned address is not one that CVL sets",
  );
  t.same(network.machines["w"]?.parameters["ethernet0.ip"], ["10.0.7.3"]);
  t.same(network.machines["w"]?.parameters["ethernet0.defaultroute"], ["10.0.7.1"]);
});

t.test("a version step and a parameter, each with its line", async (t) => {
  const after = OFFICE.replace('version => "1"', 'version => "2"').replace('"Acme"', '"Acme Ltd"');
  t.same(summary(await planOf(OFFICE, after)), [
    "replace w",
    "  Web v1 → v2 @ root.cvl:8",
    "  program disk vda changed @ web@v2:Web.cvl:1",
    '  title: "Acme" → "Acme Ltd" @ root.cvl:10',
  ]);
});

t.test("the known part of a map that waits for an address is compared", async (t) => {
  const after = OFFICE.replace("name => w.name", 'name => "www"');
  t.same(summary(await planOf(OFFICE, after)), [
    "send-parameters d",
    "  dnshosts: (assigned at start), changed @ root.cvl:9",
  ]);
  const nested = OFFICE.replace("ip => w.ethernet0.ip", 'of => { kind => "A", ip => w.ethernet0.ip }');
  const other = nested.replace('"A"', '"AAAA"');
  t.equal((await planOf(nested, other)).actions[0]?.id, "send-parameters d");
  t.same((await planOf(nested, nested)).actions, []);
});

t.test("a component that is new is told to its name server before it starts", async (t) => {
  const after = OFFICE.replace("Web w;", "Web w, x;").replace(
    "ip => w.ethernet0.ip };",
    "ip => w.ethernet0.ip }, { name => x.name, ip => x.ethernet0.ip };\n  x.title = w.title;",
  );
  const plan = await planOf(OFFICE, after);
  t.same(
    plan.actions.map(({ id, after: waits }) => [id, waits]),
    [
      ["send-parameters d", []],
      ["start x", ["send-parameters d"]],
    ],
  );
});
