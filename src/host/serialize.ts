/** Runs tasks of one key one after the other, of different keys side by side. */
export type Serializer = <Result>(key: string, task: () => Promise<Result>) => Promise<Result>;

export function createSerializer(): Serializer {
  const last = new Map<string, Promise<unknown>>();
  return async (key, task) => {
    const before = last.get(key);
    const result = before === undefined ? task() : before.then(task, task);
    last.set(key, result);
    try {
      return await result;
    } finally {
      if (last.get(key) === result) last.delete(key);
    }
  };
}
