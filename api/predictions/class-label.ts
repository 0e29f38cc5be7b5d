import { classNamed } from '../../contracts/datasets/label.js';
import { nearestName } from '../../platform/validation/nearest.js';
import type { StoredPrediction } from '../../stores/predictions/predictions.js';
import { invalidRequest } from '../http/problems.js';

/** Classes that a message lists; a model may have thousands. */
const shownClasses = 50;

/** The class that a label names, of those that the model had when it made the prediction. Throws `bad_request` for none. */
export function requireClass({ probabilities }: StoredPrediction, label: string): string {
  if (probabilities === null) return label;
  const classes = Object.keys(probabilities).sort();
  const named = classNamed(classes, label);
  if (named !== null) return named;
  const known = classes.slice(0, shownClasses).map(quoted).join(', ');
  const more = classes.length > shownClasses ? ` and ${classes.length - shownClasses} more` : '';
  const detail = `${quoted(label)} is not a class of the model. The nearest is ${quoted(nearestName(label, classes) ?? '')}; it knows ${known}${more}.`;
  throw invalidRequest([{ pointer: '#/label', detail }]);
}

function quoted(name: string): string {
  return `“${name}”`;
}
