export interface ApiSettings {
  version: string;
  modelName: string;
  datasetName: string;
  maxUploadBytes: number;
  /** Hosts that pictures named by URL are fetched from. */
  imageUrlHosts: readonly string[];
  /** Where people reach the API, for links; null when nobody said. */
  publicUrl: string | null;
  /** Folder for uploads on their way to the object store. */
  uploadFolder: string;
  /** Folder that sources named over HTTP must lie in; null when any may be read. */
  sourceRoot: string | null;
}
