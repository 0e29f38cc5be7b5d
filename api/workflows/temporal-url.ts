import { addressWithoutSecrets } from '../../platform/secrets.js';

/** URL of a run in the Temporal Web UI; null if no UI is configured. */
export type TemporalUrl = (workflowId: string, runId: string) => string | null;

/** Makes URLs below `uiUrl`, for the namespace of the runs. */
export function createTemporalUrl(uiUrl: string | undefined, namespace: string): TemporalUrl {
  if (uiUrl === undefined) return () => null;
  const base = `${addressWithoutSecrets(uiUrl).replace(/\/+$/, '')}/namespaces/${encodeURIComponent(namespace)}/workflows`;
  return (workflowId, runId) => `${base}/${encodeURIComponent(workflowId)}/${encodeURIComponent(runId)}/history`;
}
