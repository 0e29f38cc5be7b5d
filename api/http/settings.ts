export interface ApiSettings {
  version: string;
  modelName: string;
  datasetName: string;
  maxUploadBytes: number;
  /** Hosts from which images are fetched by URL. */
  imageUrlHosts: readonly string[];
  /** Public URL of the API, for links; null if not configured. */
  publicUrl: string | null;
  /** Temporary folder for uploads. */
  uploadFolder: string;
  /** Folder that must contain sources named over HTTP; null allows any. */
  sourceRoot: string | null;
}
