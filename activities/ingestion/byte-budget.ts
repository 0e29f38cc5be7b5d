/** Bounds the bytes that are in memory at once, except that what is read while there is room may exceed the limit. */
export interface ByteBudget {
  /** Resolves when the bytes taken are below the limit. */
  room(): Promise<void>;
  take(bytes: number): void;
  release(bytes: number): void;
}

export function createByteBudget(limitBytes: number): ByteBudget {
  let taken = 0;
  const waiting: (() => void)[] = [];
  return {
    async room() {
      while (taken >= limitBytes) await new Promise<void>((resolve) => waiting.push(resolve));
    },
    take(bytes) {
      taken += bytes;
    },
    release(bytes) {
      taken -= bytes;
      for (const resume of waiting.splice(0)) resume();
    },
  };
}
