import { join, resolve } from 'node:path';
import { z } from 'zod';
import { variants } from '../contracts/registry/bundle.js';
import { nameSchema } from '../contracts/datasets/datasets.js';
import { PerennialError } from '../contracts/errors.js';
import { kindPatternSchema } from '../contracts/notifications/notifications.js';
import { modelNameSchema } from '../contracts/registry/registry.js';
import { hourRangeSchema, timeZoneSchema } from '../contracts/retraining/schedules.js';
import { packageRoot } from './paths.js';

const port = z.coerce.number().int().min(0).max(65535);
const httpUrl = z.url({ protocol: /^https?$/, error: 'is no address that begins with http:// or https://' });
const commaList = z.string().transform((list) => list.split(',').map((item) => item.trim()));
const flag = z.enum(['true', 'false', '1', '0']).transform((value) => value === 'true' || value === '1');

/**
 * Every setting of every process, from the environment. Empty strings count as unset.
 * The descriptions are the rows of the configuration table in `docs/configuration.md`.
 */
export const configSchema = z.object({
  PERENNIAL_HOME: z.string().default('.perennial').describe('folder that holds all state of the local stack'),
  HOST: z.string().default('127.0.0.1').describe('address the API listens on'),
  PORT: port.default(3000).describe('port of the API'),
  DATABASE_URL: z.url().optional().describe('your own Postgres (15 or newer); without it one is started'),
  DATABASE_POOL_SIZE: z.coerce
    .number()
    .int()
    .min(2)
    .max(100)
    .default(10)
    .describe('connections a process keeps to Postgres'),
  S3_ENDPOINT: z.url().optional().describe('your own S3 server; without it one is started'),
  S3_BUCKET: z.string().default('perennial').describe('bucket that holds every object; created if it is missing'),
  S3_REGION: z.string().default('us-east-1').describe('region of the bucket'),
  S3_ACCESS_KEY_ID: z.string().default('perennial').describe('access key of the S3 server'),
  S3_SECRET_ACCESS_KEY: z.string().default('perennial-local').describe('secret key of the S3 server'),
  S3_FORCE_PATH_STYLE: flag.default(true).describe('bucket in the path instead of the host name'),
  TEMPORAL_ADDRESS: z.string().optional().describe('host:port of your own Temporal; without it one is started'),
  TEMPORAL_NAMESPACE: z.string().default('default').describe('Temporal namespace'),
  TEMPORAL_API_KEY: z.string().optional().describe('API key of Temporal Cloud'),
  TEMPORAL_TLS: flag.default(false).describe('use TLS towards Temporal'),
  TEMPORAL_UI_URL: z.url().optional().describe('address of the Temporal Web UI, for links'),
  POSTGRES_PORT: port.default(0).describe('port of the local Postgres; 0 takes a free one'),
  S3_PORT: port.default(0).describe('port of the local S3 server; 0 takes a free one'),
  TEMPORAL_PORT: port.default(0).describe('port of the local Temporal; 0 takes a free one'),
  TEMPORAL_UI_PORT: port.default(0).describe('port of the local Temporal Web UI; 0 takes a free one'),
  MODEL_NAME: modelNameSchema.default('dandelion_grass_classifier').describe('model that is trained and served'),
  DATASET_NAME: nameSchema.default('dandelion_grass').describe('dataset the model is trained on'),
  DATASET_DIR: z
    .string()
    .optional()
    .describe('folder of class folders to ingest; without it the public set, else a synthetic one'),
  PUBLIC_DATASET_URL: z
    .url()
    .default('https://raw.githubusercontent.com/btphan95/greenr-airflow/master/data')
    .describe('where the public photographs are: <url>/<label>/<number>.jpg'),
  PUBLIC_DATASET_IMAGES: z.coerce
    .number()
    .int()
    .min(1)
    .default(200)
    .describe('photographs of each class to download from there'),
  SCHEDULE_TIME_ZONE: timeZoneSchema.default('UTC').describe('time zone of schedules, unless one is given its own'),
  RETRAINING_HOURS: hourRangeSchema.default('2-4').describe('hours in which the weekly retraining begins'),
  PROMOTION_MIN_ACCURACY: z.coerce
    .number()
    .min(0)
    .max(1)
    .default(0.8)
    .describe('test accuracy a model needs to be promoted'),
  SERVING_THREADS: z.coerce
    .number()
    .int()
    .min(0)
    .max(64)
    .default(0)
    .describe('inference threads of the API and of validation; 0 means one a core'),
  SERVING_QUEUE_LIMIT: z.coerce
    .number()
    .int()
    .min(1)
    .default(64)
    .describe('predictions that may wait before requests are refused with 429'),
  SERVING_VARIANT: z
    .enum(['auto', ...variants])
    .default('auto')
    .describe('form of a network that is served; auto takes the faster one that passed its checks'),
  SERVING_LATENCY_TARGET_MS: z.coerce
    .number()
    .int()
    .min(0)
    .default(100)
    .describe('requests that would wait longer are refused with 429, in ms; 0 lets the queue alone decide'),
  PREDICTION_CACHE_ITEMS: z.coerce
    .number()
    .int()
    .min(0)
    .max(1_000_000)
    .default(1_000)
    .describe('answers kept for pictures that come again; 0 keeps none'),
  PREDICTION_LOG: flag
    .default(true)
    .describe('whether predictions are kept in Postgres; without it there is no history, feedback or lineage of them'),
  IMAGE_URL_HOSTS: commaList
    .prefault('')
    .transform((hosts) => hosts.filter((host) => host !== ''))
    .describe('hosts that images named by URL may be fetched from, comma-separated; none by default'),
  MAX_UPLOAD_BYTES: z.coerce.number().int().min(1).default(20_000_000).describe('largest image accepted over HTTP'),
  MAX_IMAGE_PIXELS: z.coerce.number().int().min(1).default(50_000_000).describe('most pixels an image may have'),
  ALLOWED_SOURCE_ROOT: z
    .string()
    .optional()
    .describe('folder sources must lie below when named over HTTP; default: any local path the process can read'),
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info')
    .describe('least severe level that is logged'),
  PERENNIAL_CACHE: z
    .string()
    .optional()
    .describe("folder for what set-up downloads; default: perennial in the platform's folder for caches"),
  TEMPORAL_BINARY: z.string().optional().describe('Temporal CLI that set-up uses instead of finding or fetching one'),
  OBJECT_STORE_BINARY: z
    .string()
    .optional()
    .describe('versitygw, minio or rclone program that set-up uses instead of finding or fetching one'),
  LIBTENSORFLOW_DIR: z
    .string()
    .optional()
    .describe('folder with include/ and lib/ of libtensorflow that set-up uses instead of fetching it'),
  CODE_REVISION: z.string().default('unknown').describe('revision of the code, kept with every run'),
  REPLICA_URL: z.url().optional().describe('address under which other processes reach this API'),
  PUBLIC_URL: httpUrl.optional().describe('address under which people reach the API, for links in messages'),
  NOTIFY_KINDS: commaList
    .prefault('*')
    .pipe(z.array(kindPatternSchema).min(1))
    .describe('messages that go to webhook, e-mail and Slack: kinds or groups like `model.*`, comma-separated'),
  NOTIFY_WEBHOOK_URL: httpUrl.optional().describe('where messages are posted as signed JSON'),
  NOTIFY_WEBHOOK_SECRET: z.string().min(16).optional().describe('key of those signatures, 16 characters or more'),
  SMTP_URL: z
    .url({ protocol: /^smtps?$/, error: 'is no address that begins with smtp:// or smtps://' })
    .optional()
    .describe('mail server for messages: smtp[s]://user:password@host:port'),
  NOTIFY_EMAIL_FROM: z.string().includes('@').optional().describe('sender of those mails'),
  NOTIFY_EMAIL_TO: commaList
    .pipe(z.array(z.string().regex(/^\S+@\S+$/, 'is no list of addresses')).min(1))
    .optional()
    .describe('their recipients, comma-separated'),
  NOTIFY_SLACK_WEBHOOK_URL: httpUrl.optional().describe('incoming webhook of a Slack channel'),
  NOTIFY_TIMEOUT_MS: z.coerce
    .number()
    .int()
    .min(100)
    .max(120_000)
    .default(10_000)
    .describe('time a receiver of messages gets to answer, in ms'),
  SHUTDOWN_GRACE_MS: z.coerce
    .number()
    .int()
    .min(0)
    .default(10_000)
    .describe('time running work gets to end when a process stops, in ms'),
  SHUTDOWN_LEAVE_MS: z.coerce
    .number()
    .int()
    .min(0)
    .default(0)
    .describe(
      'least time the API goes on taking connections after its readiness has turned 503, for load balancers that ask seldom, in ms; at most a quarter of SHUTDOWN_GRACE_MS',
    ),
});

export type Config = Readonly<Omit<z.infer<typeof configSchema>, 'PERENNIAL_HOME'> & { PERENNIAL_HOME: string }>;

/** Settings that are of no use without another one. */
const companions = [
  ['NOTIFY_WEBHOOK_URL', 'NOTIFY_WEBHOOK_SECRET'],
  ['SMTP_URL', 'NOTIFY_EMAIL_FROM'],
  ['SMTP_URL', 'NOTIFY_EMAIL_TO'],
] as const;

/** Reads the configuration. Throws `configuration_invalid` that names every wrong setting at once. */
export function loadConfig(environment: Readonly<Record<string, string | undefined>> = process.env): Config {
  const present = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = configSchema.safeParse(present);
  const problems = [
    ...(parsed.error?.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`) ?? []),
    ...companions
      .filter(([name, needed]) => Object.hasOwn(present, name) && !Object.hasOwn(present, needed))
      .map(([name, needed]) => `${needed}: is needed with ${name}`),
  ];
  if (parsed.success && parsed.data.SHUTDOWN_LEAVE_MS > parsed.data.SHUTDOWN_GRACE_MS / 4) {
    problems.push('SHUTDOWN_LEAVE_MS: is more than a quarter of SHUTDOWN_GRACE_MS');
  }
  if (!parsed.success || problems.length > 0) {
    throw new PerennialError(
      'configuration_invalid',
      `Set these environment variables right and start again: ${problems.join('; ')}`,
    );
  }
  return { ...parsed.data, PERENNIAL_HOME: resolve(packageRoot, parsed.data.PERENNIAL_HOME) };
}

/** Folder for files that a process may lose at any time. */
export function scratchFolder(config: Config): string {
  return join(config.PERENNIAL_HOME, 'scratch');
}

type ServiceAddresses = Record<'DATABASE_URL' | 'S3_ENDPOINT' | 'TEMPORAL_ADDRESS', string>;

/** Where the services are. `who` begins the message of an error. */
export function serviceAddresses(config: Config, who: string): ServiceAddresses {
  const { DATABASE_URL, S3_ENDPOINT, TEMPORAL_ADDRESS } = config;
  if (DATABASE_URL !== undefined && S3_ENDPOINT !== undefined && TEMPORAL_ADDRESS !== undefined) {
    return { DATABASE_URL, S3_ENDPOINT, TEMPORAL_ADDRESS };
  }
  throw new PerennialError(
    'configuration_invalid',
    `${who} needs DATABASE_URL, S3_ENDPOINT and TEMPORAL_ADDRESS; \`npm start\` sets them for the local stack.`,
  );
}

/** The environment for a child process: ours, with `changes`. */
export function childEnvironment(changes: Readonly<Record<string, string>>): Record<string, string | undefined> {
  return { ...process.env, ...changes };
}
