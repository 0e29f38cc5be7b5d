import type { Layer } from './layer-schemas.js';
import { layersRefusal } from './refusal.js';

/**
 * The layers that the output depends on, in topological order; the first is `input`, the only input layer, and the last
 * is `output`.
 * @throws PerennialError bundle_invalid for missing or duplicate names, cycles and further inputs
 */
export function orderLayers(layers: readonly Layer[], input: string, output: string): Layer[] {
  const byName = new Map(layers.map((layer) => [layer.config.name, layer]));
  if (byName.size < layers.length) throw layersRefusal('Two layers have the same name.');
  const ordered: Layer[] = [];
  const state = new Map<string, 'entered' | 'done'>();
  const open = [output];
  for (let name = open.at(-1); name !== undefined; name = open.at(-1)) {
    const layer = byName.get(name);
    if (!layer) throw layersRefusal(`A layer takes its input from ${name}, which is not a layer.`);
    const waiting = layer.inputs.filter((each) => state.get(each) !== 'done');
    if (state.get(name) === 'done' || waiting.length === 0) {
      if (state.get(name) !== 'done') ordered.push(layer);
      state.set(name, 'done');
      open.pop();
      continue;
    }
    if (waiting.some((each) => state.get(each) === 'entered'))
      throw layersRefusal(`The layers form a cycle at ${name}.`);
    state.set(name, 'entered');
    open.push(...waiting);
  }
  const inputs = ordered.filter(({ class_name: kind }) => kind === 'InputLayer');
  if (inputs.length !== 1 || inputs[0]?.config.name !== input) {
    throw layersRefusal(`The model needs exactly one input; its output depends on ${inputs.length}.`);
  }
  return [...inputs, ...ordered.filter((layer) => layer !== inputs[0])];
}
