import { createLogger } from '../../platform/logging.js';
import { createDatabase, type Database } from '../../stores/postgres/database.js';
import { migrate } from '../../stores/postgres/migrate.js';
import { startPostgres, type TestService } from './services.js';

export interface TestDatabase {
  db: Database;
  url: string;
  postgres: TestService;
  stop(): Promise<void>;
}

/** A real Postgres with the current schema, for one test file. */
export async function startTestDatabase(): Promise<TestDatabase> {
  const postgres = await startPostgres();
  const db = createDatabase({ url: postgres.url, poolSize: 10, logger: createLogger('test', 'silent') });
  await migrate(db);
  return {
    db,
    url: postgres.url,
    postgres,
    async stop() {
      await db.close();
      await postgres.stop();
    },
  };
}
