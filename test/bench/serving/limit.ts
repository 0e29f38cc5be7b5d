import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';

export interface LimitOrder {
  modelPath: string;
  imagePaths: string[];
  durationMs: number;
  /** Whether each image is decoded, or prepared pixels are used. */
  decodes: boolean;
}

/** Images a second that this many threads process with decoding and ONNX Runtime alone. */
export async function measureLimit(order: LimitOrder, threads: number): Promise<number> {
  const workers = Array.from(
    { length: threads },
    () => new Worker(new URL('./limit-worker.js', import.meta.url), { workerData: order }),
  );
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  const rates = workers.map(async (worker) => {
    const answer = once(worker, 'message').then(([rate]: unknown[]) => z.number().parse(rate));
    worker.postMessage('go');
    return answer;
  });
  return (await Promise.all(rates)).reduce((sum, rate) => sum + rate, 0);
}
