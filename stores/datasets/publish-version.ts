import { splits, type DatasetStatistics, type Example, type ImageFacts } from '../../contracts/datasets/datasets.js';
import { rawImageKey, splitManifestKey } from '../objects/object-keys.js';
import type { ObjectStore } from '../objects/object-store.js';
import type { PublicationStore } from './publications.js';

type Images = readonly (ImageFacts & Example)[];

/** How the listing and the statistics follow from images; injected because rules live in the domain. */
export interface PublishRules {
  listing(images: Images): { json: string; md5: string };
  statistics(images: Images, recorded: DatasetStatistics): DatasetStatistics;
}

/** Writes the DVC listing and the manifests of dataset versions to the object store. */
export interface VersionPublisher {
  /** Publishes a version unless it is published. */
  publish(dataset: string, version: number): Promise<void>;
  /**
   * Publishes the versions that wait for it: a process ended before it could, or an erasure changed what they hold.
   * With an age, only versions that were made so long ago, which no other process is about to publish.
   */
  publishPending(olderThanSeconds?: number): Promise<void>;
}

export interface PublishStores {
  publications: PublicationStore;
  objects: Pick<ObjectStore, 'put'>;
}

export function createVersionPublisher(stores: PublishStores, rules: PublishRules): VersionPublisher {
  const publish = (dataset: string, version: number): Promise<void> =>
    stores.publications.whilePublishing(dataset, version, async () => {
      while (!(await publishOnce(stores, rules, dataset, version)));
    });
  return {
    publish,
    async publishPending(olderThanSeconds = 0) {
      for (const { dataset, version } of await stores.publications.unpublished(olderThanSeconds)) {
        await publish(dataset, version);
      }
    },
  };
}

/** Publishes what the version holds now; false if an erasure changed it meanwhile. */
async function publishOnce(
  { publications, objects }: PublishStores,
  rules: PublishRules,
  dataset: string,
  version: number,
): Promise<boolean> {
  const pending = await publications.publication(dataset, version);
  if (!pending) return true;
  const images = await publications.listImages(dataset, version);
  const { json, md5 } = rules.listing(images);
  const listingKey = rawImageKey(`${md5}.dir`);
  await publications.claim(listingKey);
  await objects.put(listingKey, Buffer.from(json), 'application/json');
  await writeManifests(objects, dataset, version, images);
  const statistics = rules.statistics(images, pending.statistics);
  return publications.markPublished({ dataset, version, publication: pending.publication, dvcMd5: md5, statistics });
}

/** Repeating it writes the same bytes under the same keys. */
async function writeManifests(
  objects: PublishStores['objects'],
  dataset: string,
  version: number,
  images: Images,
): Promise<void> {
  for (const split of splits) {
    const entries = images
      .filter((image) => image.side === split)
      .map(({ sha256, md5, label, sizeBytes, format, width, height }) => ({
        sha256,
        label,
        key: rawImageKey(md5),
        size_bytes: sizeBytes,
        format,
        width,
        height,
      }));
    const manifest = Buffer.from(JSON.stringify({ dataset, version, side: split, images: entries }));
    await objects.put(splitManifestKey(split, dataset, version), manifest, 'application/json');
  }
}
