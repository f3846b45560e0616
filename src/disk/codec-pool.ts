/** A pool of worker threads that compress and decode chunks, so that zstd and SHA-256 use every core. */
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { CollectiveError, messageOf } from "../errors.ts";
import type { CodecAnswer, CodecJob, CompressResult, DecodeItem, DecodeResult } from "./codec-messages.ts";

export interface CodecPool {
  /** Jobs that keep every worker busy; more only take memory. */
  readonly jobsInFlight: number;
  /** Takes `buffer` away from the caller. */
  compress(buffer: ArrayBuffer, plainBytes: readonly number[]): Promise<CompressResult>;
  /** Takes both buffers away from the caller; `output` has room for 64 KiB an item and comes back with the result. */
  decode(buffer: ArrayBuffer, output: ArrayBuffer, items: readonly DecodeItem[]): Promise<DecodeResult>;
  close(): Promise<void>;
}

const MAX_WORKERS = 8;
/** A worker holds one batch; small heaps are collected early. Buffers and what zstd takes are not counted. */
const WORKER_LIMITS = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 };
const WORKER_FILE = "disk-codec-worker.js";

/** Starting a worker takes as long as it takes one to decode about so many chunks. */
const CHUNKS_WORTH_A_WORKER = 128;

/**
 * Runs `work` with a pool that is closed when it ends. Workers start when they are first needed, and no more of them than
 * `chunks`, where their number is known, are worth.
 */
export async function withCodecPool<Result>(
  work: (pool: CodecPool) => Promise<Result>,
  chunks = Infinity,
): Promise<Result> {
  const pool = createCodecPool(Math.max(1, Math.ceil(chunks / CHUNKS_WORTH_A_WORKER)));
  try {
    return await work(pool);
  } finally {
    await pool.close();
  }
}

interface Task {
  readonly job: CodecJob;
  resolve(result: CompressResult | DecodeResult): void;
  reject(error: unknown): void;
}

interface PoolState {
  readonly limit: number;
  readonly workers: Set<Worker>;
  readonly idle: Worker[];
  readonly waiting: Task[];
  readonly running: Map<Worker, Task>;
}

function createCodecPool(worthwhile: number): CodecPool {
  const limit = Math.min(MAX_WORKERS, availableParallelism(), worthwhile);
  const state: PoolState = { limit, workers: new Set(), idle: [], waiting: [], running: new Map() };
  const submit = <Result extends CompressResult | DecodeResult>(job: CodecJob): Promise<Result> =>
    new Promise((resolve, reject) => {
      state.waiting.push({
        job,
        reject,
        resolve: (result) => {
          resolve(result as Result);
        },
      });
      dispatch(state);
    });
  return {
    jobsInFlight: 2 * limit,
    compress: (buffer, plainBytes) => submit({ kind: "compress", buffer, plainBytes }),
    decode: (buffer, output, items) => submit({ kind: "decode", buffer, output, items }),
    close: async () => {
      const workers = [...state.workers];
      state.workers.clear();
      const abandoned = [...state.waiting.splice(0), ...state.running.values()];
      for (const task of abandoned) task.reject(workerFailed("the pool was closed"));
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}

function dispatch(state: PoolState): void {
  while (state.waiting.length > 0) {
    const worker = state.idle.pop() ?? (state.workers.size < state.limit ? startWorker(state) : undefined);
    const task = worker === undefined ? undefined : state.waiting.shift();
    if (worker === undefined || task === undefined) return;
    state.running.set(worker, task);
    const { job } = task;
    worker.postMessage(job, job.kind === "decode" ? [job.buffer, job.output] : [job.buffer]);
  }
}

function startWorker(state: PoolState): Worker {
  // Nothing of this process's options and environment is for them: less to start, and no secrets.
  const worker = new Worker(workerFile(), { resourceLimits: WORKER_LIMITS, execArgv: [], env: {} });
  state.workers.add(worker);
  worker.on("message", (answer: CodecAnswer) => {
    const task = state.running.get(worker);
    state.running.delete(worker);
    state.idle.push(worker);
    if (answer.result === undefined) task?.reject(workerFailed(answer.failure));
    else task?.resolve(answer.result);
    dispatch(state);
  });
  const fail = (reason: string): void => {
    if (!state.workers.has(worker)) return;
    const task = state.running.get(worker);
    state.running.delete(worker);
    state.workers.delete(worker);
    const at = state.idle.indexOf(worker);
    if (at !== -1) state.idle.splice(at, 1);
    task?.reject(workerFailed(reason));
    dispatch(state);
  };
  worker.on("error", (error) => {
    fail(messageOf(error));
  });
  worker.on("exit", (code) => {
    fail(`it ended with code ${code}`);
  });
  return worker;
}

function workerFailed(reason: string): CollectiveError {
  return new CollectiveError("DISK_WORKER_FAILED", `a worker thread that codes chunks failed: ${reason}`, {
    hint: "look whether the machine has run out of memory, and try again",
  });
}

/** The worker is a file of its own at the root of the bundle; this module lies there or in a folder below. */
function workerFile(): string {
  let folder = path.dirname(fileURLToPath(import.meta.url));
  for (let levels = 0; levels < 6; levels += 1) {
    const candidate = path.join(folder, WORKER_FILE);
    if (existsSync(candidate)) return candidate;
    folder = path.dirname(folder);
  }
  throw workerFailed(`the file ${WORKER_FILE} is missing beside the program`);
}
