import { z } from 'zod';

/** Answer to a started workflow. `joined`: a run of the same id was running already. */
export const acceptedSchema = z
  .object({
    workflow_id: z.string(),
    run_id: z.string(),
    joined: z.boolean(),
    status_url: z.string(),
    temporal_url: z.string().nullable(),
  })
  .meta({ id: 'Accepted' });
