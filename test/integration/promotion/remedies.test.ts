import { randomUUID } from 'node:crypto';
import { modelPolicySchema } from '../../../contracts/promotion/policy.js';
import type { Decision, Stage } from '../../../contracts/registry/registry.js';
import { decisionOf, tester, unfenced } from '../../support/measurements.js';
import { startPromotionFixture, type PromotionFixture } from '../../support/promotion-fixture.js';
import { curator, newVersionOf } from '../../support/registry-records.js';
import { createPerson, detailOf, waysIn, type Answer, type Person, type Subject } from '../../support/remedies.js';

const models = '/api/v1/mlops/models';
let fixture: PromotionFixture;
let person: Person;
beforeAll(async () => {
  fixture = await startPromotionFixture((activities) => ({
    ...activities,
    // These models have no replica: waiting for one would only take time.
    checkReplicas: () => Promise.resolve({ passed: true, replicas: [], detail: 'none' }),
    async validateCandidate({ modelName, version }) {
      const smokeTest = { check: 'smoke_test', passed: true, detail: 'served' } as const;
      const decision = { ...decisionOf('promote'), reasons: [smokeTest] };
      await fixture.stores.registry.recordDecision(modelName, version, decision);
      return decision;
    },
  }));
  await fixture.startWorker();
  person = createPerson(fixture);
}, 60_000);
afterAll(() => fixture.stop());

let count = 0;
/** A model of its own with one validated version in Staging. */
async function staged(decision: Decision | null = decisionOf('promote')): Promise<Subject> {
  count += 1;
  const modelName = `walked_${count}`;
  const { policies, registry } = fixture.stores;
  const { version } = await registry.register(newVersionOf(modelName));
  await policies.set(modelName, modelPolicySchema.parse({ guard: { minutes: 0 } }), tester);
  if (decision) await registry.recordDecision(modelName, version, decision);
  return { modelName, version };
}

async function promoted({ modelName, version }: Subject): Promise<Subject> {
  await fixture.stores.registry.promote({ modelName, version, reason: 'x', idempotencyKey: randomUUID(), ...unfenced });
  return { modelName, version };
}

async function moved(subject: Subject, stage: Exclude<Stage, 'Production'>): Promise<Subject> {
  const context = { by: curator, ifRevision: null };
  await fixture.stores.registry.setStage(subject.modelName, subject.version, { stage, reason: 'x' }, context);
  return subject;
}

/** The subject after another version of its model was promoted. */
async function followed(subject: Subject): Promise<Subject> {
  await promoted({ ...subject, version: await person.candidate(subject.modelName) });
  return subject;
}

/** A version in Production that replaced another. */
async function following(): Promise<Subject> {
  const first = await promoted(await staged());
  return promoted({ ...first, version: await person.candidate(first.modelName) });
}

async function called(subject: Subject, method: string, path: string, body?: unknown): Promise<Subject> {
  const answer = await person.send(method, path, body);
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`);
  return subject;
}

async function changed(subject: Subject, sql: string): Promise<Subject> {
  await fixture.served.api.database.query(sql, [subject.modelName, subject.version]);
  return subject;
}

const pathOf = ({ modelName, version }: Subject): string => `${models}/${modelName}/versions/${version}`;
const promote = ({ modelName, version }: Subject, override = false): Promise<Answer> =>
  person.send('POST', `${models}/promote`, { model_name: modelName, version, reason: 'x', override });
const rollBack = ({ modelName }: Subject, to: { version?: number } = {}): Promise<Answer> =>
  person.send('POST', `${models}/${modelName}/rollback`, { reason: 'x', ...to });
const move = (subject: Subject, stage: string): Promise<Answer> =>
  person.send('POST', `${pathOf(subject)}/stage`, { stage, reason: 'x' });
const remove = (subject: Subject): Promise<Answer> => person.send('DELETE', pathOf(subject));
const erase = ({ modelName }: Subject): Promise<Answer> =>
  person.send('POST', '/api/v1/erasures', { kind: 'model', id: modelName, reason: 'x' });
const retire = ({ modelName }: Subject): Promise<Answer> =>
  person.send('POST', `${models}/${modelName}/retire`, { reason: 'x' });

const needsApproval: Decision = {
  ...decisionOf('needs_approval'),
  reasons: [{ check: 'same_classes', passed: false, detail: 'other classes' }],
};
const predictionBy = `INSERT INTO predictions (id, created_at, model_name, version, generation, replica, bundle_sha256,
  predicted, confidence, latency_ms, route) VALUES (gen_random_uuid(), now(), $1, $2, 1, 'r', 'b', 'grass', 0.9, 1, 'predict')`;

const states: Record<string, () => Promise<Subject>> = {
  'in Staging, not validated': () => staged(null),
  'in Staging, refused': () => staged(decisionOf('refuse', 'Refused: worse.')),
  'in Staging': () => staged(),
  'in Staging, unverified': async () =>
    changed(await staged(), 'UPDATE model_versions SET verified_at = NULL WHERE model_name = $1 AND version = $2'),
  'in None': async () => moved(await staged(), 'None'),
  'archived, never served': async () => moved(await staged(), 'Archived'),
  'in Production, the first': async () => promoted(await staged()),
  'in Production after another': () => following(),
  'before the version in Production': async () => followed(await promoted(await staged())),
  'before that one': async () => followed(await followed(await promoted(await staged()))),
  'rolled back': async () => {
    const subject = await following();
    return called(subject, 'POST', `${models}/${subject.modelName}/rollback`, { reason: 'x' });
  },
  retired: async () => {
    const subject = await promoted(await staged());
    return called(subject, 'POST', `${models}/${subject.modelName}/retire`, { reason: 'x' });
  },
  'waiting for an approval': async () => {
    const subject = await staged(needsApproval);
    await promote(subject);
    return subject;
  },
  'with two aliases': async () => {
    const subject = await staged();
    const path = `${models}/${subject.modelName}/aliases`;
    await called(subject, 'PUT', `${path}/champion`, { version: subject.version });
    return called(subject, 'PUT', `${path}/best`, { version: subject.version });
  },
  'archived with stored predictions': async () => changed(await moved(await staged(), 'Archived'), predictionBy),
  'served with stored predictions': async () => changed(await promoted(await staged()), predictionBy),
  deleted: async () => {
    const subject = await staged();
    return called(subject, 'DELETE', pathOf(subject));
  },
  erased: async () => {
    const subject = await staged();
    return called(subject, 'POST', '/api/v1/erasures', { kind: 'model', id: subject.modelName, reason: 'x' });
  },
  'retired and erased': async () => {
    const subject = await promoted(await staged());
    await called(subject, 'POST', `${models}/${subject.modelName}/retire`, { reason: 'x' });
    return called(subject, 'POST', '/api/v1/erasures', { kind: 'model', id: subject.modelName, reason: 'x' });
  },
};

interface Now {
  stage: string;
  production: number | null;
  isDeleted: boolean;
}
async function nowOf({ modelName, version }: Subject): Promise<Now> {
  const [production, found] = await Promise.all([
    fixture.stores.registry.production(modelName),
    fixture.stores.registry.get(modelName, version).catch(() => null),
  ]);
  return { stage: found?.stage ?? 'none', production: production?.version ?? null, isDeleted: found === null };
}

/** Each with the question whether its aim is reached. */
const actions: Record<
  string,
  [act: (subject: Subject, override?: boolean) => Promise<Answer>, isReached: (now: Now, before: Now) => boolean]
> = {
  promote: [promote, ({ stage }) => stage === 'Production'],
  'roll back': [(subject) => rollBack(subject), ({ production }, before) => production !== before.production],
  'roll back to it': [
    (subject) => rollBack(subject, { version: subject.version }),
    ({ stage }) => stage === 'Production',
  ],
  archive: [(subject) => move(subject, 'Archived'), ({ stage }) => stage === 'Archived'],
  'move to None': [(subject) => move(subject, 'None'), ({ stage }) => stage === 'None'],
  'move to Staging': [(subject) => move(subject, 'Staging'), ({ stage }) => stage === 'Staging'],
  delete: [remove, ({ isDeleted }) => isDeleted],
  erase: [erase, ({ isDeleted }) => isDeleted],
  retire: [retire, ({ production }) => production === null],
};

const pairs = Object.keys(states).flatMap((state) =>
  Object.keys(actions).map((action): [string, string] => [action, state]),
);

describe('a refusal of a change of a version names only steps that lead on', () => {
  it.each(pairs)(
    '%s a version that is %s',
    async (action, state) => {
      const [act, aim] = actions[action] ?? [];
      if (!act || !aim) throw new Error(action);
      const start = async (): Promise<[Subject, Now]> => {
        const subject = await states[state]?.();
        if (!subject) throw new Error(state);
        return [subject, await nowOf(subject)];
      };
      const [tried] = await start();
      const refusal = await act(tried);
      const ways = refusal.status < 300 ? 0 : Math.max(1, waysIn(detailOf(refusal)).length);
      for (let way = 0; way < ways; way += 1) {
        const [subject, before] = await start();
        await person.insist(
          subject,
          (override) => act(subject, override),
          async () => aim(await nowOf(subject), before),
          way,
        );
      }
    },
    60_000,
  );
});
