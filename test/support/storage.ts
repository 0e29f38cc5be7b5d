import { createUploadQuota } from '../../api/http/body/upload-quota.js';
import { createStorageGuard } from '../../platform/storage-guard.js';

/** A disk that is never short. */
export const roomyStorage = createStorageGuard({ folders: [], minFreeBytes: 0 });

/** Admits every upload. */
export const roomyQuota = createUploadQuota({ storage: roomyStorage, onShed: () => undefined });
