import type { SourceBuckets } from '../../platform/source-buckets.js';
import type { SourceFolders } from '../../platform/source-folders.js';

export interface ApiSettings {
  version: string;
  modelName: string;
  datasetName: string;
  maxUploadBytes: number;
  /** Hosts from which images are fetched by URL. */
  imageUrlHosts: readonly string[];
  /** Public URL of the API, for links; null if not configured. */
  publicUrl: string | null;
  /** Path under which a proxy offers the API, such as `/flowers`; empty if it has the whole host. */
  basePath: string;
  /** Hosts under which the API answers beside loopback, as patterns of `hostPattern`. */
  allowedHosts: readonly string[];
  /** Origins of its pages beside that of the host in the request. */
  ownOrigins: readonly string[];
  /** Temporary folder for uploads. */
  uploadFolder: string;
  /** Folders that clients may name as sources. */
  sourceFolders: SourceFolders & SourceBuckets;
}
