/** Probabilities that versions gave for images, by the digests of both: neither changes under its digest. */
export interface KnownAnswers {
  /** The answers of a version, by the SHA-256 of the image. */
  of(bundleSha256: string): ReadonlyMap<string, number[]>;
  add(bundleSha256: string, answers: readonly (readonly [sha256: string, probabilities: number[]])[]): void;
}

/** The candidate of one validation, and the Production of the next one, of a few models. */
const mostVersions = 8;
const none: ReadonlyMap<string, number[]> = new Map();

/** Keeps the answers of the latest versions in memory. */
export function createKnownAnswers(): KnownAnswers {
  const ofVersion = new Map<string, Map<string, number[]>>();
  return {
    of: (bundleSha256) => ofVersion.get(bundleSha256) ?? none,
    add(bundleSha256, answers) {
      const known = new Map([...(ofVersion.get(bundleSha256) ?? []), ...answers]);
      // The latest is the last one, and the first one goes.
      ofVersion.delete(bundleSha256);
      ofVersion.set(bundleSha256, known);
      const [oldest] = ofVersion.keys();
      if (oldest !== undefined && ofVersion.size > mostVersions) ofVersion.delete(oldest);
    },
  };
}
