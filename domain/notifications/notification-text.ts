import { batchCompleted, batchFailed } from './batch-notification-text.js';
import { sentence, type Read, type Vocabulary, type Writer } from './notification-vocabulary.js';
import { snakeKeys } from '../snake-keys.js';

/** A message as people read it. */
export interface NotificationText {
  subject: string;
  /** What happened, why, and what to do next. */
  text: string;
  /** Where there is more; null when nothing is known to link to, or where. */
  link: string | null;
}

const writers: Readonly<Record<string, Writer>> = {
  'model.promotion': promotion,
  'model.rollback': rollback,
  'model.degraded': degraded,
  'retraining.promoted': retraining('ended with a new version in Production', null),
  'retraining.refused': retraining(
    'made no better model',
    'Production is as it was; the reasons are in the decision of the version.',
  ),
  'retraining.rolled_back': retraining(
    'was taken back',
    'Production is what it was before; look at the logs of the API before you promote that version again.',
  ),
  'retraining.needs_approval': retraining(
    'waits for a person',
    'Approve or reject the version: GET /api/v1/approvals lists what waits.',
  ),
  'retraining.rejected': retraining('ended with a version that was rejected', 'Production is as it was.'),
  'retraining.expired': retraining('ended with a version nobody approved in time', 'Production is as it was.'),
  'retraining.skipped': retrainingSkipped,
  'retraining.unstarted': retrainingUnstarted,
  'pipeline.failed': pipelineFailed,
  'batch_prediction.completed': batchCompleted,
  'batch_prediction.failed': batchFailed,
  'approval.requested': approvalRequested,
  'notification.test': testMessage,
};

const groups: Readonly<Record<string, Writer>> = {
  approval: approvalEnded,
  retraining: (read, event) => retraining(`ended: ${spoken(event)}`, null)(read, event),
  schedule,
};

const longestSubject = 150;
const longestText = 2_000;

/** Words for a message of any kind, also one that is not known here. `publicUrl` is where people reach the API. */
export function notificationText(kind: string, payload: unknown, publicUrl: string | null): NotificationText {
  const [group = '', ...rest] = kind.split('.');
  const write = ownMember(writers, kind) ?? ownMember(groups, group);
  const words = write ? write(readerOf(payload), rest.join('.')) : anything(kind, payload);
  const text = words.sentences.filter((sentence) => sentence !== null).join(' ');
  const path = words.path ?? null;
  return {
    subject: shortened(words.subject.replaceAll(/\s+/g, ' '), longestSubject),
    text: shortened(text, longestText),
    link: publicUrl === null || path === null ? null : publicUrl.replace(/\/+$/, '') + path,
  };
}

function promotion(read: Read): Vocabulary {
  const model = read('model_name') ?? 'a model';
  const former = read('former_version');
  return {
    subject: `${model}: version ${read('version') ?? '?'} is in Production`,
    sentences: [
      former === null
        ? `Version ${read('version') ?? '?'} of ${model} is the first in Production${byWhom(read)}.`
        : `Version ${read('version') ?? '?'} of ${model} took the place of version ${former} in Production${byWhom(read)}.`,
      because(read),
      former === null ? null : `POST ${modelPath(model)}/rollback brings version ${former} back.`,
    ],
    path: `${modelPath(model)}/versions`,
  };
}

function rollback(read: Read): Vocabulary {
  const model = read('model_name') ?? 'a model';
  const version = read('version') ?? '?';
  const former = read('former_version');
  return {
    subject: `${model}: version ${version} was rolled back`,
    sentences: [
      former === null
        ? `Version ${version} of ${model} was taken out of Production${byWhom(read)}, and nothing is served until a version is promoted.`
        : `Version ${version} of ${model} was taken out of Production${byWhom(read)}; version ${former} answers again.`,
      because(read),
      'Find out what was wrong with it before it is promoted again.',
    ],
    path: `${modelPath(model)}/versions`,
  };
}

function degraded(read: Read): Vocabulary {
  const model = read('model_name') ?? 'a model';
  const version = read('version') ?? '?';
  const isRetrained = read('decision') === 'retrain';
  return {
    subject: `${model}: version ${version} has become worse`,
    sentences: [
      sentence(read('detail')),
      isRetrained ? 'A retraining was started.' : sentence(read('reason')),
      'Add pictures of what it gets wrong to the dataset: a retraining learns from nothing else.',
    ],
    path: `${modelPath(model)}/production-accuracy`,
  };
}

function retraining(what: string, next: string | null): Writer {
  return (read) => {
    const model = read('model_name') ?? 'a model';
    const version = read('version');
    const made = version === null ? '' : ` It made version ${version}.`;
    return {
      subject: `${model}: retraining ${what}`,
      sentences: [`The retraining of ${model} ${what}.${made}`, sentence(read('summary')), next],
      path: `${modelPath(model)}/versions`,
    };
  };
}

function retrainingSkipped(read: Read): Vocabulary {
  const model = read('model_name') ?? 'a model';
  return {
    subject: `${model}: retraining skipped`,
    sentences: [`${model} was not trained again.`, because(read), 'It is looked at again when its schedule is due.'],
    path: `${modelPath(model)}/versions`,
  };
}

function retrainingUnstarted(read: Read): Vocabulary {
  const model = read('model_name') ?? 'a model';
  return {
    subject: `${model}: retraining could not be started`,
    sentences: [
      `${model} was to be trained again, but the run could not be started.`,
      because(read),
      `Production is as it was. Start it by hand: POST /api/v1/mlops/retraining/trigger/${model}.`,
    ],
    path: `${modelPath(model)}/versions`,
  };
}

function pipelineFailed(read: Read): Vocabulary {
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
      production === null ? 'Production is as it was.' : `Version ${production} goes on serving.`,
      run === null
        ? 'Put right what stood in the way, and start it again.'
        : `GET ${path}/attempts has its attempts and logs: put right what stood in the way, and start it again.`,
    ],
    path,
  };
}

function approvalRequested(read: Read): Vocabulary {
  const model = read('model_name') ?? 'a model';
  const version = read('version') ?? '?';
  const expiry = read('on_expiry');
  return {
    subject: `${model}: version ${version} waits for your approval`,
    sentences: [
      `The promotion of version ${version} of ${model} waits for a person.`,
      sentence(read('summary') ?? read('reason')),
      `Approve or reject it${read('expires_at') === null ? '' : ` before ${read('expires_at') ?? ''}`}: GET /api/v1/approvals shows the comparison.`,
      expiry === null ? null : `After that it is ${expiry === 'promote' ? 'promoted' : 'rejected'} by itself.`,
    ],
    path: '/api/v1/approvals',
  };
}

function approvalEnded(read: Read, event: string): Vocabulary {
  const model = read('model_name') ?? 'a model';
  const version = read('version') ?? '?';
  const who = read('decided_by') ?? read('actor');
  const ends: Readonly<Record<string, string>> = {
    approved: 'It goes to Production now.',
    expired: 'Nobody answered in time, so the outcome its policy chose for that case holds.',
  };
  return {
    subject: `${model}: approval of version ${version} ${spoken(event)}`,
    sentences: [
      `The approval of version ${version} of ${model} is ${spoken(event)}${who === null || event === 'expired' ? '' : ` by ${who}`}.`,
      sentence(read('comment') ?? read('reason')),
      ownMember(ends, event) ?? 'Production is as it was.',
    ],
    path: `${modelPath(model)}/versions`,
  };
}

function schedule(read: Read, event: string): Vocabulary {
  const id = read('schedule_id') ?? 'a schedule';
  return {
    subject: `${id}: schedule ${spoken(event)}`,
    sentences: [`The schedule ${id} was ${spoken(event)}${byWhom(read)}.`, because(read)],
    path: '/api/v1/schedules',
  };
}

function testMessage(read: Read): Vocabulary {
  const channel = read('channel') ?? 'this channel';
  return {
    subject: `A test of ${channel}`,
    sentences: [`This is a test, asked for${byWhom(read)}: messages over ${channel} arrive. There is nothing to do.`],
  };
}

function anything(kind: string, payload: unknown): Vocabulary {
  return { subject: kind, sentences: [`${kind} happened:`, JSON.stringify(snakeKeys(payload ?? null))] };
}

function readerOf(payload: unknown): Read {
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

function byWhom(read: Read): string {
  const actor = read('actor');
  const approver = read('approver');
  return (actor === null ? '' : ` by ${actor}`) + (approver === null ? '' : `, approved by ${approver}`);
}

function because(read: Read): string | null {
  const reason = read('reason');
  return reason === null ? null : sentence(`Why: ${reason}`);
}

function spoken(event: string): string {
  return event.replaceAll(/[_.]/g, ' ');
}

function modelPath(model: string): string {
  return `/api/v1/mlops/models/${encodeURIComponent(model)}`;
}

function shortened(words: string, most: number): string {
  return words.length <= most ? words : `${words.slice(0, most - 1)}…`;
}

function ownMember<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}
