/** Address of a run in the Temporal Web UI, or null when no UI is known. */
export type TemporalUrl = (workflowId: string, runId: string) => string | null;

/** Makes addresses below `uiUrl`, for the namespace the runs are in. */
export function createTemporalUrl(uiUrl: string | undefined, namespace: string): TemporalUrl {
  if (uiUrl === undefined) return () => null;
  const base = `${uiUrl.replace(/\/+$/, '')}/namespaces/${encodeURIComponent(namespace)}/workflows`;
  return (workflowId, runId) => `${base}/${encodeURIComponent(workflowId)}/${encodeURIComponent(runId)}/history`;
}
