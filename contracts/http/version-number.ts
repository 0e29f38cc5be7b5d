import { z } from 'zod';

/** A version number in a path or a query. */
export const versionNumber = z.coerce.number().int().min(1).max(2_147_483_647);
