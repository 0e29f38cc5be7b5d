import { z } from 'zod';

export const pageOf = <T extends z.ZodType>(
  item: T,
): z.ZodObject<{ items: z.ZodArray<T>; next_page_token: z.ZodNullable<z.ZodString> }> =>
  z.object({ items: z.array(item), next_page_token: z.string().nullable() });
