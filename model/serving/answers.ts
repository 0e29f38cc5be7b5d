import type { ExplanationMethod } from '../../contracts/inference/http-explanations.js';

/** How a picture lies among the training images, in the space of the features. */
export interface OodScore {
  /** Euclidean distance of unit vectors to the nearest training image, 0 to 2. */
  distance: number;
  /** Whether it lies further from all of them than held-out images do. */
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
  /** The class to explain; the predicted one unless given. */
  label?: string;
  /** Whether to draw the map over the picture, as PNG. */
  overlay: boolean;
  /** Nearest training images wanted. */
  neighbours: number;
}

/** A training image near a picture. */
export interface Neighbour {
  sha256: string;
  label: string;
  distance: number;
}

/** Which places of a picture speak for a class. */
export interface Explanation {
  prediction: Prediction;
  label: string;
  /** `class_activation` is exact: places add up to the logit. `occlusion` measures what is lost without each place. */
  method: ExplanationMethod;
  /** Rows of the map from top to bottom: what each place adds to the logit, or takes from it. */
  map: number[][];
  /** Logarithm of the probability of the class less the mean of the logarithms of all classes' probabilities. */
  logit: number;
  /** What of the logit no place of the picture accounts for; null for a map whose places do not add up to it. */
  bias: number | null;
  /** The picture as the model sees it with the map laid over it, PNG. */
  overlay: Uint8Array | null;
  /** Nearest first; empty when the bundle holds no references. */
  neighbours: Neighbour[];
}
