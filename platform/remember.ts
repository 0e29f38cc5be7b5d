/** Reads at most once in `ms`; whoever asks in between gets the same answer, a failure included. */
export function remember<T>(ms: number, read: () => Promise<T>): () => Promise<T> {
  let last: { at: number; answer: Promise<T> } | null = null;
  return () => {
    if (last === null || performance.now() - last.at > ms) last = { at: performance.now(), answer: read() };
    return last.answer;
  };
}
