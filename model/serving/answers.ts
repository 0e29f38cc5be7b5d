import type { ExplanationMethod } from '../../contracts/inference/http-explanations.js';

/** Out-of-distribution score of an image: its distance to the training images in feature space. */
export interface OodScore {
  /** Euclidean distance of unit vectors to the nearest training image, 0 to 2. */
  distance: number;
  /** Whether the distance exceeds that of nearly all held-out images. */
  outOfDistribution: boolean;
  /** Class of the nearest training image. */
  neighbour: string;
}

export interface Prediction {
  label: string;
  confidence: number;
  /** In the order of the engine's labels. */
  probabilities: number[];
  /** Null when the bundle holds no references. */
  oodScore: OodScore | null;
  phases: { queueMs: number; decodeMs: number; inferMs: number };
}

export interface ExplainOptions {
  /** The class to explain; by default the predicted one. */
  label?: string;
  /** Whether to draw the map over the image, as PNG. */
  overlay: boolean;
  /** Number of nearest training images to return. */
  neighbours: number;
}

/** A training image near the explained one. */
export interface Neighbour {
  sha256: string;
  label: string;
  distance: number;
}

/** Which regions of an image support a class. */
export interface Explanation {
  prediction: Prediction;
  label: string;
  /**
   * `class_activation` is exact: the regions add up to the logit. `occlusion` measures the drop when a region is
   * masked.
   */
  method: ExplanationMethod;
  /** Rows of the map from top to bottom: what each region adds to the logit; negative where it lowers it. */
  map: number[][];
  /** Log probability of the class minus the mean log probability of all classes. */
  logit: number;
  /** The part of the logit that no region accounts for; null for a map that does not add up to the logit. */
  bias: number | null;
  /** The model's input image with the map laid over it, PNG. */
  overlay: Uint8Array | null;
  /** Nearest first; empty when the bundle holds no references. */
  neighbours: Neighbour[];
}
