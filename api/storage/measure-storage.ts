import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { storageKinds, type StorageItem, type StorageKind } from '../../contracts/storage/storage.js';
import { diskSpace } from '../../platform/storage-guard.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import type { DatabaseSizeStore } from '../../stores/storage/database-sizes.js';
import { classifyKey } from '../../stores/storage/object-kinds.js';
import { measureFolder, type FolderSize } from './measure-folder.js';

export interface StorageSources {
  objects: Pick<ObjectStore, 'list'>;
  databaseSizes: DatabaseSizeStore;
  /** The data folder. */
  home: string;
}

export interface Measurement {
  items: StorageItem[];
  /** Of the disk of the data folder; null if it cannot be read. */
  freeBytes: number | null;
  diskBytes: number | null;
  measuredAt: Date;
}

/** Folders of the data folder. The rest of `postgres` and `s3` is measured as database and bucket. */
const folders: readonly { kind: StorageKind; path: string; skip?: readonly string[] }[] = [
  { kind: 'bundles', path: 'bundles' },
  { kind: 'database', path: 'postgres/data/pg_wal' },
  { kind: 'datasets', path: 'datasets' },
  { kind: 'logs', path: 'logs' },
  { kind: 'predictions', path: 'spool' },
  { kind: 'scratch', path: 'scratch', skip: ['uploads'] },
  { kind: 'temporal', path: 'temporal' },
  { kind: 'uploads', path: 'scratch/uploads' },
];

const bucketKinds = storageKinds.slice(0, storageKinds.indexOf('database'));

/** The API reads a page in about 5 ms and pauses after it, so that predictions do not wait. */
const pageSize = 200;
const pauseMs = 20;

/** Measures everything. What cannot be read is null; it never throws. */
export async function measureStorage({ objects, databaseSizes, home }: StorageSources): Promise<Measurement> {
  const [bucket, database, disk, local] = await Promise.all([
    measureBucket(objects).catch(() => null),
    databaseSizes.sizes().catch(() => null),
    diskSpace(home).catch(() => null),
    measureFolders(home),
  ]);
  return {
    items: [
      ...bucketKinds.map((kind) => itemOf(kind, 'bucket', bucket && (bucket.get(kind) ?? { bytes: 0, objects: 0 }))),
      { kind: 'predictions', place: 'database', bytes: database?.predictionBytes ?? null, objects: null },
      { kind: 'database', place: 'database', bytes: database?.otherBytes ?? null, objects: null },
      ...local,
    ],
    freeBytes: disk?.freeBytes ?? null,
    diskBytes: disk?.diskBytes ?? null,
    measuredAt: new Date(),
  };
}

async function measureBucket(objects: StorageSources['objects']): Promise<Map<StorageKind, FolderSize>> {
  const sizes = new Map<StorageKind, FolderSize>();
  let listed = 0;
  for await (const { key, sizeBytes } of objects.list('', pageSize)) {
    const kind = classifyKey(key)?.rule.kind ?? 'other';
    const { bytes, objects: count } = sizes.get(kind) ?? { bytes: 0, objects: 0 };
    sizes.set(kind, { bytes: bytes + sizeBytes, objects: count + 1 });
    if ((listed += 1) % pageSize === 0) await setTimeout(pauseMs);
  }
  return sizes;
}

async function measureFolders(home: string): Promise<StorageItem[]> {
  const items: StorageItem[] = [];
  for (const { kind, path, skip } of folders) {
    items.push(itemOf(kind, 'disk', await measureFolder(join(home, path), skip)));
  }
  return items;
}

function itemOf(kind: StorageKind, place: StorageItem['place'], size: FolderSize | null): StorageItem {
  return { kind, place, bytes: size?.bytes ?? null, objects: size?.objects ?? null };
}
