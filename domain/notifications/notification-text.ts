import { batchCompleted, batchFailed } from './batch-notification-text.js';
import { ingestionCompleted } from './ingestion-notification-text.js';
import { sentence, type ReadField, type NotificationDraft, type DraftWriter } from './notification-draft.js';
import { snakeKeys } from '../snake-keys.js';

/** A notification as text. */
export interface NotificationText {
  subject: string;
  /** What happened, why, and what to do next. */
  text: string;
  /** URL with details; null when there is none, or when the public URL is not known. */
  link: string | null;
}

const writers: Readonly<Record<string, DraftWriter>> = {
  'model.promotion': promotion,
  'model.rollback': rollback,
  'model.retirement': retirement,
  'model.degraded': degraded,
  'retraining.promoted': retraining('ended with a new version in Production', null),
  'retraining.refused': retraining(
    'did not produce a better model',
    'Production is unchanged; the decision of the version lists the reasons.',
  ),
  'retraining.rolled_back': retraining(
    'was rolled back',
    'Production is the previous version again; check the log of the API before you promote the new one again.',
  ),
  'retraining.needs_approval': retraining(
    'waits for approval',
    'Approve or reject the version: GET /api/v1/approvals lists the waiting approvals.',
  ),
  'retraining.rejected': retraining('ended with a version that was rejected', 'Production is unchanged.'),
  'retraining.expired': retraining('ended with a version that was not approved in time', 'Production is unchanged.'),
  'retraining.skipped': retrainingSkipped,
  'retraining.unstarted': retrainingUnstarted,
  'pipeline.failed': pipelineFailed,
  'ingestion.completed': ingestionCompleted,
  'batch_prediction.completed': batchCompleted,
  'batch_prediction.failed': batchFailed,
  'approval.requested': approvalRequested,
  'notification.test': testMessage,
};

const groups: Readonly<Record<string, DraftWriter>> = {
  approval: approvalEnded,
  retraining: (read, event) => retraining(`ended: ${inWords(event)}`, null)(read, event),
  schedule,
};

const longestSubject = 150;
const longestText = 2_000;

/** Text of a notification of any kind, also an unknown one. `publicUrl` is the URL of the API for links. */
export function notificationText(kind: string, payload: unknown, publicUrl: string | null): NotificationText {
  const [group = '', ...rest] = kind.split('.');
  const write = ownProperty(writers, kind) ?? ownProperty(groups, group);
  const draft = write ? write(readerOf(payload), rest.join('.')) : genericMessage(kind, payload);
  const text = draft.sentences.filter((sentence) => sentence !== null).join(' ');
  const path = draft.path ?? null;
  return {
    subject: shortened(draft.subject.replaceAll(/\s+/g, ' '), longestSubject),
    text: shortened(text, longestText),
    link: publicUrl === null || path === null ? null : publicUrl.replace(/\/+$/, '') + path,
  };
}

function promotion(read: ReadField): NotificationDraft {
  const model = read('model_name') ?? 'a model';
  const previous = read('former_version');
  return {
    subject: `${model}: version ${read('version') ?? '?'} is in Production`,
    sentences: [
      previous === null
        ? `Version ${read('version') ?? '?'} of ${model} was promoted${byWhom(read)}, as the first in Production.`
        : `Version ${read('version') ?? '?'} of ${model} was promoted${byWhom(read)}, replacing version ${previous}.`,
      because(read),
      previous === null ? null : `POST ${modelPath(model)}/rollback restores version ${previous}.`,
    ],
    path: `${modelPath(model)}/versions`,
  };
}

function rollback(read: ReadField): NotificationDraft {
  const model = read('model_name') ?? 'a model';
  const version = read('version') ?? '?';
  const previous = read('former_version');
  return {
    subject: `${model}: version ${version} was rolled back`,
    sentences: [
      previous === null
        ? `Version ${version} of ${model} was taken out of Production${byWhom(read)}, and nothing is served until a version is promoted.`
        : `Version ${version} of ${model} was taken out of Production${byWhom(read)}; version ${previous} serves again.`,
      because(read),
      'Find the cause before you promote it again.',
    ],
    path: `${modelPath(model)}/versions`,
  };
}

function retirement(read: ReadField): NotificationDraft {
  const model = read('model_name') ?? 'a model';
  const version = read('version') ?? '?';
  return {
    subject: `${model} was retired`,
    sentences: [
      `Version ${version} of ${model} was taken out of Production${byWhom(read)}, and nothing is served any more.`,
      because(read),
      `To serve it again, move a version to Staging (POST ${modelPath(model)}/versions/${version}/stage for this one) and promote it.`,
    ],
    path: `${modelPath(model)}/versions`,
  };
}

function degraded(read: ReadField): NotificationDraft {
  const model = read('model_name') ?? 'a model';
  const version = read('version') ?? '?';
  const isRetrained = read('decision') === 'retrain';
  return {
    subject: `${model}: version ${version} has become worse`,
    sentences: [
      sentence(read('detail')),
      isRetrained ? 'A retraining was started.' : sentence(read('reason')),
      'Add images that it gets wrong to the dataset: a retraining learns only from the dataset.',
    ],
    path: `${modelPath(model)}/production-accuracy`,
  };
}

function retraining(what: string, next: string | null): DraftWriter {
  return (read) => {
    const model = read('model_name') ?? 'a model';
    const version = read('version');
    const made = version === null ? '' : ` It produced version ${version}.`;
    return {
      subject: `${model}: retraining ${what}`,
      sentences: [`The retraining of ${model} ${what}.${made}`, sentence(read('summary')), next],
      path: `${modelPath(model)}/versions`,
    };
  };
}

function retrainingSkipped(read: ReadField): NotificationDraft {
  const model = read('model_name') ?? 'a model';
  return {
    subject: `${model}: retraining skipped`,
    sentences: [`${model} was not retrained.`, because(read), 'It is checked again when its schedule is due.'],
    path: `${modelPath(model)}/versions`,
  };
}

function retrainingUnstarted(read: ReadField): NotificationDraft {
  const model = read('model_name') ?? 'a model';
  return {
    subject: `${model}: retraining could not be started`,
    sentences: [
      `A retraining of ${model} was due, but its run could not be started.`,
      because(read),
      `Production is unchanged. Start it manually: POST /api/v1/mlops/retraining/trigger/${model}.`,
    ],
    path: `${modelPath(model)}/versions`,
  };
}

function pipelineFailed(read: ReadField): NotificationDraft {
  const about = read('model_name') ?? read('dataset') ?? read('workflow') ?? 'a pipeline';
  const step = read('step');
  const production = read('production_version');
  const run = read('run_id');
  const path = run === null ? null : `/api/v1/pipelines/${encodeURIComponent(run)}`;
  return {
    subject: `${about}: ${read('workflow') ?? 'a pipeline'} failed`,
    sentences: [
      `${read('workflow') ?? 'A pipeline'} for ${about} failed${step === null ? '' : ` in the step ${step}`}.`,
      sentence(read('error.message')),
      production === null ? 'Production is unchanged.' : `Version ${production} continues to serve.`,
      run === null
        ? 'Fix the cause, then start it again.'
        : `GET ${path}/attempts lists its attempts and logs: fix the cause, then start it again.`,
    ],
    path,
  };
}

function approvalRequested(read: ReadField): NotificationDraft {
  const model = read('model_name') ?? 'a model';
  const version = read('version') ?? '?';
  const expiry = read('on_expiry');
  return {
    subject: `${model}: version ${version} waits for your approval`,
    sentences: [
      `The promotion of version ${version} of ${model} waits for approval.`,
      sentence(read('summary') ?? read('reason')),
      `Approve or reject it${read('expires_at') === null ? '' : ` before ${read('expires_at') ?? ''}`}: GET /api/v1/approvals shows the comparison.`,
      expiry === null ? null : `After that it is ${expiry === 'promote' ? 'promoted' : 'rejected'} automatically.`,
    ],
    path: '/api/v1/approvals',
  };
}

function approvalEnded(read: ReadField, event: string): NotificationDraft {
  const model = read('model_name') ?? 'a model';
  const version = read('version') ?? '?';
  const who = read('decided_by') ?? read('actor');
  const consequences: Readonly<Record<string, string>> = {
    approved: 'It goes to Production now.',
    expired: 'No answer arrived in time, so the policy of the model decided.',
  };
  return {
    subject: `${model}: approval of version ${version} ${inWords(event)}`,
    sentences: [
      `The approval of version ${version} of ${model} is ${inWords(event)}${who === null || event === 'expired' ? '' : ` by ${who}`}.`,
      sentence(read('comment') ?? read('reason')),
      ownProperty(consequences, event) ?? 'Production is unchanged.',
    ],
    path: `${modelPath(model)}/versions`,
  };
}

function schedule(read: ReadField, event: string): NotificationDraft {
  const id = read('schedule_id') ?? 'a schedule';
  return {
    subject: `${id}: schedule ${inWords(event)}`,
    sentences: [`The schedule ${id} was ${inWords(event)}${byWhom(read)}.`, because(read)],
    path: '/api/v1/schedules',
  };
}

function testMessage(read: ReadField): NotificationDraft {
  const channel = read('channel') ?? 'this channel';
  return {
    subject: `A test of ${channel}`,
    sentences: [`This is a test message, requested${byWhom(read)}: the channel ${channel} works. No action is needed.`],
  };
}

function genericMessage(kind: string, payload: unknown): NotificationDraft {
  return { subject: kind, sentences: [`${kind} happened:`, JSON.stringify(snakeKeys(payload ?? null))] };
}

function readerOf(payload: unknown): ReadField {
  const snake = snakeKeys(payload);
  return (path) => {
    let value = snake;
    for (const name of path.split('.')) {
      value = typeof value === 'object' && value !== null ? new Map(Object.entries(value)).get(name) : undefined;
    }
    if (typeof value === 'number') return String(value);
    return typeof value === 'string' && value.trim() !== '' ? value.trim() : null;
  };
}

function byWhom(read: ReadField): string {
  const actor = read('actor');
  const approver = read('approver');
  return (actor === null ? '' : ` by ${actor}`) + (approver === null ? '' : `, approved by ${approver}`);
}

function because(read: ReadField): string | null {
  const reason = read('reason');
  return reason === null ? null : sentence(`Why: ${reason}`);
}

function inWords(event: string): string {
  return event.replaceAll(/[_.]/g, ' ');
}

function modelPath(model: string): string {
  return `/api/v1/mlops/models/${encodeURIComponent(model)}`;
}

function shortened(words: string, most: number): string {
  const characters = Array.from(words);
  return characters.length <= most ? words : `${characters.slice(0, most - 1).join('')}…`;
}

function ownProperty<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}
