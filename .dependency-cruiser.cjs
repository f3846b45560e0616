/** Imports point down this list only (DESIGN: "The way of the data"); what lies in src/ itself is for everybody. */
const rooms = [
  "cli",
  "forge",
  "manager/rollout",
  "manager/data",
  "manager/apply",
  "manager/change",
  "manager/placement",
  "manager/observe",
  "manager/records",
  "serve",
  "hooks",
  "bump",
  "setup",
  "publish",
  "preview",
  "site",
  "agent",
  "host",
  "plan",
  "network",
  "appliance",
  "cvl/format",
  "cvl/evaluate",
  "cvl/link",
  "cvl/parse",
  "cvl",
  "lfs",
  "disk",
  "git",
];

const upwardImports = rooms.slice(1).map((room, index) => ({
  name: `${room}-imports-up`,
  severity: "error",
  from: { path: room === "cvl" ? "^src/cvl/[^/]+$" : `^src/${room}/` },
  to: { path: `^src/(${rooms.slice(0, index + 1).join("|")})/` },
}));

const pure = ["cvl", "network", "plan"];
const groundWithIo = [
  "io",
  "regular-file",
  "user-file",
  "file-lock",
  "lock-file",
  "lock-owner",
  "process-identity",
];
const ground = [
  "errors",
  "diagnostics",
  "file-errors",
  "cache-folder",
  "line-ends",
  "yaml-edit",
  "yaml-words",
  ...groundWithIo,
];

module.exports = {
  forbidden: [
    {
      name: "no-cycles",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    ...upwardImports,
    {
      name: "src-does-not-import-actions",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "^actions/" },
    },
    {
      name: "ground-imports-nothing",
      severity: "error",
      from: { path: `^src/(${ground.join("|")})\\.ts$` },
      to: { path: "^src/.+/" },
    },
    {
      name: "pure-layers-do-no-io",
      severity: "error",
      from: { path: `^src/(${pure.join("|")})/` },
      to: {
        path: `^(node:)?(fs|fs/promises|child_process|net|http|https|os|worker_threads)$|^src/(${groundWithIo.join("|")})\\.ts$`,
      },
    },
    {
      name: "git-libraries-in-git-only",
      severity: "error",
      from: { pathNot: "^src/git/" },
      to: { path: "node_modules/(isomorphic-git|simple-git)/" },
    },
    {
      name: "processes-in-io-only",
      severity: "error",
      from: { path: "^(src|actions)/", pathNot: "^src/io\\.ts$" },
      to: { path: "node_modules/execa/|^(node:)?child_process$" },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^actions/[^/]+/dist/|^actions/dist/" },
  },
};
