/** Mistakes in workflows and actions: what to replace in a good file, by what, and what has to be said about it then. */

export type Mistake = readonly [from: string | RegExp, to: string, problem: RegExp];

const ON = "  push:\n    branches: [main]\n";
const TIMEOUT = "    timeout-minutes: 120\n";
const STEPS = "    steps:\n";
const CHECKOUT = /(actions\/checkout)@([0-9a-f]{8})([0-9a-f]{32}) # (v\S+)/;
/** v5.0.0 */
const OLD_COMMIT = "08c6903cd8c0fde910a37f88322edcfb5dd907a8";

/** What GitHub's validator finds, by file as `cui init` writes it. */
export const WORKFLOW_MISTAKES_FOR_GITHUB: Readonly<Record<string, readonly Mistake[]>> = {
  "site-x/apply.yml": [
    ["name: apply\n", "name: apply\nnames: x\n", /Unexpected value 'names'/],
    [/on:\n(?: .*\n)+/, "", /missing: on/],
    [/jobs:\n[^]*/, "", /missing: jobs/],
    [/jobs:\n[^]*/, "jobs: [\n", /Flow sequence/],
    [/^[^]*$/, "- x\n", /sequence was not expected/],
    ["runs-on:", "run-on:", /'run-on'/],
    [/ {4}runs-on:.*\n/, "", /missing: runs-on/],
    ["timeout-minutes: 120", "timeout-minutes: [soon]", /sequence was not expected/],
    ["timeout-minutes: 120", "timeout-minutes: soon", /'soon'/],
    [TIMEOUT, "    timeout: 120\n", /'timeout'/],
    [TIMEOUT, `${TIMEOUT}    needs: [absent]\n`, /'absent'/],
    [TIMEOUT, `${TIMEOUT}    strategy: { matri: { a: [1] } }\n`, /'matri'/],
    [TIMEOUT, `${TIMEOUT}    container: { imag: x }\n`, /'imag'/],
    [TIMEOUT, `${TIMEOUT}    if: who == 'me'\n`, /named-value: 'who'/],
    ["environment: production", "environment: { nam: production }", /'nam'/],
    ["checks: read", "cheks: read", /'cheks'/],
    ["checks: read", "checks: reed", /'reed'/],
    ["  apply:\n", "  1apply:\n", /'1apply' is invalid/],
    [ON, "  pushed:\n", /'pushed'/],
    [ON, "  pull_request:\n    types: [nonsense]\n", /'nonsense'/],
    [ON, "  schedule:\n    - cron: daily\n", /Invalid cron/],
    ["branches: [main]", "branchs: [main]", /'branchs'/],
    ["jobs:\n", "defaults: { rn: { shell: sh } }\njobs:\n", /'rn'/],
    ["cancel-in-progress: false", "cancel-progress: false", /'cancel-progress'/],
    ["group: collective-rollout", "group: ${{ github.nothing( }}", /Unexpected symbol/],
    ["group: collective-rollout", "group: ${{ nothing.at.all }}", /named-value: 'nothing'/],
    [STEPS, `${STEPS}      - name: x\n`, /not enough info/],
    [STEPS, `${STEPS}      - run: x\n        continue-on-error: maybe\n`, /'maybe'/],
    [STEPS, `${STEPS}      - run: x\n        env: { A: [1] }\n`, /sequence was not expected/],
    ["        with:\n", "        wit:\n", /'wit'/],
    ["        with:\n", "        run: x\n        with:\n", /'run'/],
    ["fetch-depth: 0", "fetch-dept: 0", /Invalid action input 'fetch-dept'/],
    [CHECKOUT, `$1@${OLD_COMMIT} # $4`, /Unable to resolve action/],
  ],
  "site-x/plan.yml": [
    [/ {10}path: collective-plan\n/, "", /Missing required input `path`/],
    ["if-no-files-found:", "if-no-file-found:", /Invalid action input 'if-no-file-found'/],
  ],
  "site-x/comment.yml": [["run-id:", "run:", /Invalid action input 'run'/]],
  "site-x/bump.yml": [["github-token:", "token:", /Invalid action input 'token'/]],
};

/** What it does not look at: workflows.ts and pins.ts do. */
export const WORKFLOW_MISTAKES: Readonly<Record<string, readonly Mistake[]>> = {
  "site-x/apply.yml": [
    [
      "branches: [main]",
      "branches: [main]\n    branches-ignore: [x]",
      /push has branches and branches-ignore/,
    ],
    ["branches: [main]", "paths: 3", /paths is no list/],
    ["permissions: {}", "permissions: write-all", /permissions: the top/],
    [/\n {4}permissions:\n( {6}.*\n)+/, "\n", /permissions of its own are missing/],
    [TIMEOUT, "", /no timeout/],
    ["    environment: production\n", "", /without an environment/],
    ["cancel-in-progress: false", "cancel-in-progress: true", /may be cancelled/],
    ["  push:\n", "  pull_request:\n  push:\n", /self-hosted on a pull request/],
    ["  push:\n", "  pull_request_target:\n  push:\n", /pull_request_target/],
    ["          persist-credentials: false\n", "", /persist-credentials/],
    [STEPS, `${STEPS}      - run: echo '\${{ github.event.pull_request.title }}'\n`, /run has an expression/],
    [STEPS, `${STEPS}      - run: echo \${{ format('{0}', github.head_ref) }}\n`, /run has an expression/],
    [/@a{40} # pinned/, "@v1", /^pin: .*full commit/m],
    [CHECKOUT, "$1@$2 # $4", /^pin: .*full commit/m],
    [CHECKOUT, "$1@$2$3", /^pin: .*full commit/m],
    [CHECKOUT, "$1@$2$3 # v0.0.1", /^pin: .*# v0.0.1: pinned-/m],
    [CHECKOUT, `$1@${OLD_COMMIT} # $4`, /^pin: .*: pinned-actions.yaml has [0-9a-f]{40} # v/m],
    [CHECKOUT, `acme/checkout@${"b".repeat(40)} # v1.0.0`, /^pin: .*not in pinned-actions.yaml/m],
    [/acme\/collective\/actions\/apply/, "acme/collective/actions/aply", /not in pinned-actions.yaml/],
    [STEPS, `${STEPS}      - { uses: actions/cache@v3 }\n`, /^pin: actions\/cache@v3: not on its own line/m],
  ],
};

const MAIN = "  main: dist/index.mjs\n";
const INPUTS = /inputs:\n {2}[a-z-]+:\n/;

/** What GitHub's validator finds in actions/apply/action.yml. */
export const ACTION_MISTAKES_FOR_GITHUB: readonly Mistake[] = [
  ["using: node24", "using: node99", /Unexpected value 'node99'/],
  ["  using: node24\n", "", /missing: using/],
  [MAIN, "", /'main' is required/],
  [MAIN, `${MAIN}  mainly: x\n`, /'mainly'/],
  [MAIN, `${MAIN}  steps: [{ run: x, shell: sh }]\n`, /'steps'/],
  [MAIN, `${MAIN}  image: x\n`, /'image'/],
  [/runs:\n[^]*/, "", /missing: runs/],
  [/^name:.*\n/, "", /missing: name/],
  [/^name:.*\n/, "name: [x]\n", /sequence was not expected/],
  [/^name:/, "nick: x\nname:", /'nick'/],
  [/^description:.*\n( {2}.*\n)*/m, "", /missing: description/],
  [/icon: .*/, "icon: nonsense", /'nonsense'/],
  [/icon: .*/, "icons: tag", /'icons'/],
  [/color: .*/, "color: pink", /'pink'/],
  ["${{ github.token }}", "${{ secrets.token }}", /named-value: 'secrets'/],
  [INPUTS, "inputs:\n  x:\n    required: maybe\n    description: x\n  y:\n", /'maybe'/],
  [INPUTS, "inputs:\n  x: { description: [1] }\n  y:\n", /sequence was not expected/],
  ["outputs:\n", "outputs:\n  x: { description: x, valu: y }\n", /'valu'/],
];

/** What it does not look at: actions.ts does. */
export const ACTION_MISTAKES: readonly Mistake[] = [
  ["using: node24", "using: node20", /node20 was removed from GitHub's runner in 2026-09/],
  ["using: node24", "using: node16", /node16 was removed/],
  ["using: node24", "using: node12", /node12 was removed/],
  ["using: node24", "using: node99", /node99 is no runtime of GitHub's runner/],
  ["using: node24", "using: toString", /no runtime of GitHub's runner/],
  [INPUTS, "inputs:\n  x: { description: x, requird: true }\n  y:\n", /x: requird means nothing/],
  [INPUTS, "inputs:\n  x: { default: y }\n  y:\n", /x: no description/],
  [INPUTS, "inputs:\n  x: { description: ' ' }\n  y:\n", /x: no description/],
  [INPUTS, "inputs:\n  x y: { description: x }\n  y:\n", /x y: is no identifier/],
  ["outputs:\n", "outputs:\n  x: {}\n", /x: no description/],
  ["outputs:\n", "outputs:\n  x: { description: x, value: y }\n", /x: value means nothing/],
];
