import { z } from 'zod';
import { variants } from '../contracts/registry/bundle.js';
import { nameSchema } from '../contracts/datasets/datasets.js';
import { kindPatternSchema } from '../contracts/notifications/notifications.js';
import { modelNameSchema } from '../contracts/registry/registry.js';
import { hourRangeSchema, timeZoneSchema } from '../contracts/retraining/schedules.js';
import { hostPattern } from './allowed-hosts.js';

const port = z.coerce.number().int().min(0).max(65535);
const httpUrl = z.url({ protocol: /^https?$/, error: 'must be a URL that begins with http:// or https://' });
const commaList = z.string().transform((list) => list.split(',').map((item) => item.trim()));
const optionalList = commaList.prefault('').transform((items) => items.filter((item) => item !== ''));
const hostPatterns = optionalList.transform((entries, context) =>
  entries.map((entry) => {
    const pattern = hostPattern(entry);
    if (pattern !== null) return pattern;
    context.addIssue(`${entry} is not a host name without a port, *.example.org, or *`);
    return z.NEVER;
  }),
);
const flag = z.enum(['true', 'false', '1', '0']).transform((value) => value === 'true' || value === '1');

/**
 * The settings of all processes, read from the environment. An empty string counts as unset.
 * `docs/configuration.md` is generated from the descriptions.
 */
export const configSchema = z.object({
  PERENNIAL_HOME: z.string().default('.perennial').describe('folder that holds all state of the local stack'),
  HOST: z.string().default('127.0.0.1').describe('address that the API listens on'),
  ALLOWED_HOSTS: hostPatterns.describe(
    'host names under which the API answers beside loopback, HOST and those of PUBLIC_URL and REPLICA_URL, comma-separated; `*.example.org` means all names below, `*` any',
  ),
  PORT: port.default(3000).describe('port of the API'),
  DATABASE_URL: z.url().optional().describe('your own Postgres (15 or newer); if unset, a local one is started'),
  DATABASE_POOL_SIZE: z.coerce
    .number()
    .int()
    .min(2)
    .max(100)
    .default(10)
    .describe('most connections to Postgres per process'),
  DATABASE_TIMEOUT_MS: z.coerce
    .number()
    .int()
    .min(100)
    .max(600_000)
    .default(20_000)
    .describe('time limit of a statement that the API sends to Postgres, in ms'),
  S3_ENDPOINT: z.url().optional().describe('your own S3 server; if unset, a local one is started'),
  S3_BUCKET: z.string().default('perennial').describe('bucket for all objects; created if it does not exist'),
  S3_REGION: z.string().default('us-east-1').describe('region of the bucket'),
  S3_ACCESS_KEY_ID: z
    .string()
    .optional()
    .describe('access key of the S3 server; if unset, the local one gets random keys (s3/keys.json in PERENNIAL_HOME)'),
  S3_SECRET_ACCESS_KEY: z.string().optional().describe('secret key of the S3 server'),
  S3_FORCE_PATH_STYLE: flag.default(true).describe('use the bucket name in the path instead of the host name'),
  S3_TIMEOUT_MS: z.coerce
    .number()
    .int()
    .min(100)
    .max(300_000)
    .default(8_000)
    .describe('how long the S3 server may send and take no byte during a request, in ms'),
  TEMPORAL_ADDRESS: z
    .string()
    .optional()
    .describe('host:port of your own Temporal server; if unset, a local one is started'),
  TEMPORAL_NAMESPACE: z.string().default('default').describe('Temporal namespace'),
  TEMPORAL_API_KEY: z.string().optional().describe('API key of Temporal Cloud'),
  TEMPORAL_TLS: flag.default(false).describe('use TLS for the connection to Temporal'),
  TEMPORAL_UI_URL: z.url().optional().describe('address of the Temporal Web UI, for links'),
  POSTGRES_PORT: port.default(0).describe('port of the local Postgres; 0 chooses a free one'),
  S3_PORT: port.default(0).describe('port of the local S3 server; 0 chooses a free one'),
  TEMPORAL_PORT: port.default(0).describe('port of the local Temporal; 0 chooses a free one'),
  TEMPORAL_UI_PORT: port.default(0).describe('port of the local Temporal Web UI; 0 chooses a free one'),
  MODEL_NAME: modelNameSchema.default('dandelion_grass_classifier').describe('model that is trained and served'),
  DATASET_NAME: nameSchema.default('dandelion_grass').describe('dataset the model is trained on'),
  DATASET_DIR: z
    .string()
    .optional()
    .describe(
      'folder with one folder of images per class to ingest; if unset, the public dataset, or a synthetic one when that cannot be reached',
    ),
  PUBLIC_DATASET_URL: z
    .url()
    .default('https://raw.githubusercontent.com/btphan95/greenr-airflow/master/data')
    .describe('base URL of the public dataset; images are at <url>/<label>/<number>.jpg'),
  PUBLIC_DATASET_IMAGES: z.coerce
    .number()
    .int()
    .min(1)
    .default(200)
    .describe('images per class to download from the public dataset'),
  SCHEDULE_TIME_ZONE: timeZoneSchema.default('UTC').describe('time zone of schedules that do not set their own'),
  RETRAINING_HOURS: hourRangeSchema
    .default('2-4')
    .describe('hours of the day between which the weekly retraining starts'),
  PROMOTION_MIN_ACCURACY: z.coerce
    .number()
    .min(0)
    .max(1)
    .default(0.8)
    .describe('test accuracy a model needs to be promoted'),
  PROMOTION_MIN_RECALL: z.coerce
    .number()
    .min(0)
    .max(1)
    .default(0.5)
    .describe('recall that no class of a model to be promoted may be significantly below, on the test images'),
  PROMOTION_MIN_CV_ACCURACY: z.coerce
    .number()
    .min(0)
    .max(1)
    .default(0.7)
    .describe('cross-validated accuracy that a model to be promoted may not be significantly below'),
  PROMOTION_MAX_P95_MS: z.coerce
    .number()
    .positive()
    .default(2_000)
    .describe('longest 95th percentile of the answer time of a model to be promoted, measured by validation, in ms'),
  SERVING_THREADS: z.coerce
    .number()
    .int()
    .min(0)
    .max(64)
    .default(0)
    .describe('inference threads of the API and of validation; 0 means one per core'),
  SERVING_QUEUE_LIMIT: z.coerce
    .number()
    .int()
    .min(1)
    .default(64)
    .describe('most predictions in the queue; further requests are refused with 429'),
  SERVING_VARIANT: z
    .enum(['auto', ...variants])
    .default('auto')
    .describe('precision variant that is served; auto chooses the fastest one that passed its checks'),
  SERVING_LATENCY_TARGET_MS: z.coerce
    .number()
    .int()
    .min(0)
    .default(100)
    .describe('requests that would wait longer are refused with 429, in ms; 0 limits the queue length only'),
  PREDICTION_CACHE_ITEMS: z.coerce
    .number()
    .int()
    .min(0)
    .max(1_000_000)
    .default(1_000)
    .describe('predictions cached for repeated images; 0 turns the cache off'),
  PREDICTION_LOG: flag
    .default(true)
    .describe('store predictions in Postgres; without it there is no prediction history, feedback or lineage'),
  IMAGE_URL_HOSTS: optionalList.describe(
    'hosts from which images may be fetched by URL, comma-separated; none by default',
  ),
  MAX_UPLOAD_BYTES: z.coerce.number().int().min(1).default(20_000_000).describe('largest image accepted over HTTP'),
  MIN_FREE_BYTES: z.coerce
    .number()
    .int()
    .min(0)
    .default(64_000_000)
    .describe(
      'free space of the disk of PERENNIAL_HOME below which uploads, ingestion and training are refused, so that predictions continue',
    ),
  MAX_IMAGE_PIXELS: z.coerce.number().int().min(1).default(50_000_000).describe('largest number of pixels of an image'),
  ALLOWED_SOURCE_ROOT: optionalList.describe(
    'folders below which a source named over HTTP may be, beside DATASET_DIR and the project, comma-separated',
  ),
  INGEST_S3_BUCKET: z
    .string()
    .optional()
    .describe('bucket from which sources of the kind `s3` are read, beside S3_BUCKET'),
  INGEST_S3_ENDPOINT: httpUrl.optional().describe('S3 server of INGEST_S3_BUCKET; if unset, that of S3_ENDPOINT'),
  INGEST_S3_REGION: z.string().optional().describe('region of INGEST_S3_BUCKET; if unset, S3_REGION'),
  INGEST_S3_ACCESS_KEY_ID: z
    .string()
    .optional()
    .describe('access key for INGEST_S3_BUCKET; if unset, that of S3_ENDPOINT is used on the same server only'),
  INGEST_S3_SECRET_ACCESS_KEY: z.string().optional().describe('secret key for INGEST_S3_BUCKET'),
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info')
    .describe('lowest severity that is logged'),
  PERENNIAL_CACHE: z
    .string()
    .optional()
    .describe("folder for downloads of set-up; default: perennial in the platform's cache folder"),
  TEMPORAL_BINARY: z
    .string()
    .optional()
    .describe('Temporal CLI that set-up uses instead of searching for one or downloading it'),
  OBJECT_STORE_BINARY: z
    .string()
    .optional()
    .describe('versitygw, minio or rclone program that set-up uses instead of searching for one or downloading it'),
  LIBTENSORFLOW_DIR: z
    .string()
    .optional()
    .describe('folder with include/ and lib/ of libtensorflow that set-up uses instead of downloading it'),
  CODE_REVISION: z.string().default('unknown').describe('revision of the code, stored with every run'),
  REPLICA_URL: z.url().optional().describe('URL at which other processes reach this API; it answers under its host'),
  PUBLIC_URL: httpUrl
    .optional()
    .describe('URL at which users reach the API, for links in notifications; pages of its origin may send changes'),
  BASE_PATH: z
    .string()
    .regex(/^(\/[\w.~-]+)*\/?$/, 'must be a path that begins with a slash, such as /flowers')
    .optional()
    .describe('path under which a proxy offers the API, whether it strips it or not; default: the path of PUBLIC_URL'),
  NOTIFY_KINDS: commaList
    .prefault('*')
    .pipe(z.array(kindPatternSchema).min(1))
    .describe('notifications sent to webhook, e-mail and Slack: kinds or groups such as `model.*`, comma-separated'),
  NOTIFY_WEBHOOK_URL: httpUrl.optional().describe('URL to which notifications are posted as signed JSON'),
  NOTIFY_WEBHOOK_SECRET: z
    .string()
    .min(16)
    .optional()
    .describe('signing key for webhook notifications, at least 16 characters'),
  SMTP_URL: z
    .url({ protocol: /^smtps?$/, error: 'must be a URL that begins with smtp:// or smtps://' })
    .optional()
    .describe('mail server for notifications: smtp[s]://user:password@host:port'),
  NOTIFY_EMAIL_FROM: z.string().includes('@').optional().describe('sender of e-mail notifications'),
  NOTIFY_EMAIL_TO: commaList
    .pipe(z.array(z.string().regex(/^\S+@\S+$/, 'must be a comma-separated list of e-mail addresses')).min(1))
    .optional()
    .describe('recipients of e-mail notifications, comma-separated'),
  NOTIFY_SLACK_WEBHOOK_URL: httpUrl.optional().describe('incoming webhook of a Slack channel'),
  NOTIFY_TIMEOUT_MS: z.coerce
    .number()
    .int()
    .min(100)
    .max(120_000)
    .default(10_000)
    .describe('time limit for a receiver of notifications to answer, in ms'),
  SHUTDOWN_GRACE_MS: z.coerce
    .number()
    .int()
    .min(0)
    .default(10_000)
    .describe('time limit for running work to finish when a process stops, in ms'),
  SHUTDOWN_LEAVE_MS: z.coerce
    .number()
    .int()
    .min(0)
    .default(0)
    .describe(
      'how long the API still accepts connections after its readiness probe has turned 503, for load balancers that probe rarely, in ms; at most a quarter of SHUTDOWN_GRACE_MS',
    ),
});
