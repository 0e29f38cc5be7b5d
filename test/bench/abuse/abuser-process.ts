import { z } from 'zod';
import { abuseKinds, abuses } from './abusers.js';

const orderSchema = z.object({ abuse: z.enum(abuseKinds), port: z.number().int(), clients: z.number().int() });

/** A process of abusers, so that their work does not delay the client that measures. Its parent kills it. */
process.once('message', (message: unknown) => {
  const { abuse, port, clients } = orderSchema.parse(message);
  const localAddress = process.platform === 'linux' ? '127.0.0.2' : undefined;
  void abuses[abuse]().then((abuser) => {
    process.send?.('started');
    for (let number = 0; number < clients; number += 1) void abuser({ port, localAddress });
  });
});
