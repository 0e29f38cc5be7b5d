/** The scenarios that `npm run scenario` plays, each with what happens in it. */
export const scenarios = /** @type {const} */ ({
  degradation:
    'predictions get worse, feedback shows it, an alert goes out, and a retraining puts a better model into Production',
  'new-data': 'new images arrive, continuous training finds them, and a retraining is promoted or refused with reasons',
  rollback: 'a bad model is promoted past the gate, its first minutes show it, and it is rolled back by itself',
});

/** @typedef {keyof typeof scenarios} ScenarioName */

/**
 * @param {string | undefined} name
 * @returns {name is ScenarioName}
 */
export function isScenario(name) {
  return name !== undefined && Object.hasOwn(scenarios, name);
}
