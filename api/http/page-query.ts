import { z } from 'zod';

/** Query parameters of every list. */
export const pageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50).describe('page size'),
  page_token: z.string().max(200).optional().describe('`next_page_token` of the previous page'),
});
