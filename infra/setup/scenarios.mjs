/** The scenarios of `npm run scenario`, each with a description. */
export const scenarios = /** @type {const} */ ({
  degradation:
    'predictions get worse, feedback shows it, an alert is sent, and a retraining puts a better model into Production',
  'new-data':
    'new images arrive, continuous training finds them, and the retrained model is promoted or refused with reasons',
  rollback: 'a bad model is promoted despite the promotion gate, performs badly, and is rolled back by the guard',
});

/** @typedef {keyof typeof scenarios} ScenarioName */

/**
 * @param {string | undefined} name
 * @returns {name is ScenarioName}
 */
export function isScenario(name) {
  return name !== undefined && Object.hasOwn(scenarios, name);
}
