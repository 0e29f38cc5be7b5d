import type { LineageEdge, LineageNode } from '../../../contracts/predictions/http-predictions.js';
import type { LineageFacts } from '../../../stores/predictions/lineage.js';
import type { StoredPrediction } from '../../../stores/predictions/predictions.js';
import type { TemporalUrl } from '../../workflows/temporal-url.js';

/** Relations of edges; `verifyLineage` has a check for each. */
export type Relation =
  | 'made_by'
  | 'packaged_as'
  | 'trained_by'
  | 'imported_by'
  | 'ran_in'
  | 'ran_code'
  | 'trained_on'
  | 'evaluated_on'
  | 'consists_of'
  | 'read_features'
  | 'served_since'
  | 'approved_by';

export interface Graph {
  nodes: LineageNode[];
  edges: (LineageEdge & { relation: Relation })[];
}

/** The lineage graph of a prediction from stored rows; missing rows become failed edges. */
export function lineageGraph(prediction: StoredPrediction, facts: LineageFacts, temporalUrl: TemporalUrl): Graph {
  const graph: Graph = { nodes: [predictionNode(prediction)], edges: [] };
  const { id, modelName, version } = prediction;
  const made = connect(graph, `prediction:${id}`, 'made_by');
  if (!facts.version) {
    made.missing(`version:${modelName}/${version}`, `Version ${version} of ${modelName} is not in the database.`);
    return graph;
  }
  made.to(versionNode(facts.version));
  addBundle(graph, facts.version);
  addRun(graph, facts.version, facts.run, temporalUrl);
  addDataset(graph, facts.version, facts);
  addPromotion(graph, prediction, facts);
  return graph;
}

interface Connection {
  to(node: LineageNode): string;
  missing(id: string, detail: string): void;
}

/** Adds edges from a node; an edge to an erased node is marked as erased. */
function connect({ nodes, edges }: Graph, from: string, relation: Relation): Connection {
  return {
    to(node) {
      nodes.push(node);
      const detail = node.erased ? 'erased on request' : null;
      edges.push({ from, to: node.id, relation, state: node.erased ? 'erased' : 'recorded', detail, figures: {} });
      return node.id;
    },
    missing: (to, detail) => void edges.push({ from, to, relation, state: 'failed', detail, figures: {} }),
  };
}

function node(
  kind: LineageNode['kind'],
  id: string,
  name: string,
  attributes: LineageNode['attributes'],
  erased = false,
): LineageNode {
  return { id: `${kind}:${id}`, kind, name, erased, attributes };
}

function predictionNode(prediction: StoredPrediction): LineageNode {
  const { id, predicted, confidence, createdAt, replica, generation, label, erasedAt } = prediction;
  const attributes = { predicted, confidence, label, replica, generation, created_at: createdAt };
  return node('prediction', id, predicted, attributes, erasedAt !== null);
}

type Version = NonNullable<LineageFacts['version']>;

const versionId = ({ modelName, version }: Version): string => `${modelName}/${version}`;

/** The training of an imported model is unknown; our images only evaluated it. */
const wasTrained = ({ origin }: Version): boolean => origin === 'trained';

function versionNode(version: Version): LineageNode {
  const name = `${version.modelName} ${version.semanticVersion} (version ${version.version})`;
  const { architecture, labels, origin, stage, semanticVersion, createdAt, erasedAt, deletedAt } = version;
  const attributes = { architecture, labels, origin, stage, semantic_version: semanticVersion, created_at: createdAt };
  return node('model_version', versionId(version), name, attributes, (erasedAt ?? deletedAt) !== null);
}

function addBundle(graph: Graph, version: Version): void {
  const { bundleKey, bundleSha256, erasedAt, deletedAt } = version;
  const attributes = { bundle_key: bundleKey, sha256: bundleSha256 };
  const bundle = node('bundle', bundleSha256, bundleKey, attributes, (erasedAt ?? deletedAt) !== null);
  connect(graph, `model_version:${versionId(version)}`, 'packaged_as').to(bundle);
}

function addRun(graph: Graph, version: Version, run: LineageFacts['run'], temporalUrl: TemporalUrl): void {
  const trained = connect(
    graph,
    `model_version:${versionId(version)}`,
    wasTrained(version) ? 'trained_by' : 'imported_by',
  );
  if (!run) {
    trained.missing(`training_run:${version.runId}`, `Run ${version.runId} is not in the database.`);
    return;
  }
  const { runId, hyperparameters, status, weightsSha256, startedAt, endedAt, codeRevision, workflowId } = run;
  const attributes = {
    parameters: hyperparameters,
    status,
    weights_sha256: weightsSha256,
    started_at: startedAt,
    ended_at: endedAt,
  };
  const from = trained.to(node('training_run', runId, runId, attributes));
  const url = run.workflowRunId === null ? null : temporalUrl(workflowId, run.workflowRunId);
  const workflow = { run_id: run.workflowRunId, temporal_url: url };
  connect(graph, from, 'ran_in').to(node('workflow', workflowId, workflowId, workflow));
  connect(graph, from, 'ran_code').to(node('code', codeRevision, codeRevision, {}));
}

function addDataset(graph: Graph, version: Version, { run, dataset, featureFiles }: LineageFacts): void {
  const from = run ? `training_run:${run.runId}` : `model_version:${versionId(version)}`;
  const used = connect(graph, from, wasTrained(version) ? 'trained_on' : 'evaluated_on');
  const name = `${version.dataset} version ${version.datasetVersion}`;
  const id = `${version.dataset}/${version.datasetVersion}`;
  if (!dataset) {
    used.missing(`dataset_version:${id}`, `${name} is not in the database.`);
    return;
  }
  const { digest, dvcMd5, sources, createdAt, images, erasedImages, sides } = dataset;
  const isErased = dataset.erasedAt !== null;
  const attributes = { digest, dvc_md5: dvcMd5, sources, created_at: createdAt };
  const to = used.to(node('dataset_version', id, name, attributes, isErased));
  const imageFacts = { images, erased: erasedImages, sides };
  connect(graph, to, 'consists_of').to(node('images', id, `${images} images`, imageFacts, isErased));
  // A network trained on pixels uses no embeddings.
  if (version.architecture !== 'efficientnet-lite0') return;
  for (const file of featureFiles) {
    const facts = { sha256: file.sha256, backbone_digest: file.backboneDigest, images: file.images };
    const feature = node('feature_file', file.sha256, file.objectKey, facts, file.erasedAt !== null);
    connect(graph, from, 'read_features').to(feature);
  }
}

function addPromotion(graph: Graph, { generation, modelName }: StoredPrediction, facts: LineageFacts): void {
  const { version, promotion, approval } = facts;
  if (!version) return;
  const served = connect(graph, `model_version:${versionId(version)}`, 'served_since');
  if (!promotion) {
    const detail = `The change that made ${modelName} serve generation ${generation} is not in the database.`;
    served.missing(`promotion:${modelName}/${generation}`, detail);
    return;
  }
  const { id, kind, actor, reason, workflowId, createdAt, insteadOf } = promotion;
  const former = insteadOf === null ? null : String(insteadOf);
  const attributes = { kind, actor, reason, workflow_id: workflowId, former_version: former, created_at: createdAt };
  const from = served.to(node('promotion', String(id), `${kind} by ${actor}`, attributes));
  if (!approval) return;
  const decision = { outcome: approval.outcome, decided_by: approval.decidedBy, decided_at: approval.decidedAt };
  const decided = node(
    'approval',
    String(approval.id),
    `${approval.outcome} by ${approval.decidedBy ?? 'an unknown actor'}`,
    decision,
  );
  connect(graph, from, 'approved_by').to(decided);
}
