/** Reads at most once per `ms`; calls in between get the same result, also a failure. */
export function remember<T>(ms: number, read: () => Promise<T>): () => Promise<T> {
  let last: { at: number; answer: Promise<T> } | null = null;
  return () => {
    if (last === null || performance.now() - last.at > ms) last = { at: performance.now(), answer: read() };
    return last.answer;
  };
}
