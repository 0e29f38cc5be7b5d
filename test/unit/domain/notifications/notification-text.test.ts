import fc from 'fast-check';
import { notificationText } from '../../../../domain/notifications/notification-text.js';

const url = 'https://perennial.example';
const textOf = (kind: string, payload: unknown): string => notificationText(kind, payload, url).text;

describe('the text of a message', () => {
  const move = { modelName: 'roses', version: 4, formerVersion: 3, actor: 'ada', reason: 'it is better' };

  it('of a promotion has actor, reason, previous version and the rollback', () => {
    expect(notificationText('model.promotion', { ...move, approver: 'grace' }, url)).toEqual({
      subject: 'roses: version 4 is in Production',
      text: 'Version 4 of roses was promoted by ada, approved by grace, replacing version 3. Why: it is better. POST /api/v1/mlops/models/roses/rollback restores version 3.',
      link: 'https://perennial.example/api/v1/mlops/models/roses/versions',
    });
  });

  it('knows the first promotion and the rollback to nothing', () => {
    expect(textOf('model.promotion', { ...move, formerVersion: null })).toMatch(
      /promoted by ada, as the first in Production\. Why/,
    );
    expect(textOf('model.rollback', move)).toMatch(/version 3 serves again\. Why: it is better\./);
    expect(textOf('model.rollback', { ...move, formerVersion: null })).toMatch(/nothing is served/);
    expect(textOf('model.retirement', { ...move, formerVersion: null })).toMatch(
      /nothing is served.*it is better\..*promote/,
    );
  });

  it('of a degraded version has the measured value and the consequence', () => {
    const found = {
      modelName: 'roses',
      version: 4,
      detail: 'Accuracy is 40.0 %.',
      reason: 'Skipped: it was just done.',
    };
    expect(textOf('model.degraded', { ...found, decision: 'retrain' })).toMatch(
      /^Accuracy is 40\.0 %\. A retraining was/,
    );
    expect(textOf('model.degraded', { ...found, decision: 'skip' })).toMatch(/40\.0 %\. Skipped: it was just done\./);
  });

  it('of a failure has step, reason and the serving version', () => {
    const payload = {
      runId: 'a/b',
      workflow: 'retrainingPipeline',
      modelName: 'roses',
      step: 'train_new_model',
      error: { code: 'internal', message: 'No disk left' },
      productionVersion: 3,
    };
    const { subject, text, link } = notificationText('pipeline.failed', payload, url);
    expect(subject).toBe('roses: retrainingPipeline failed');
    expect(text).toMatch(
      /in the step train_new_model\. No disk left\. Version 3 continues to serve\. GET \/api\/v1\/pipelines\/a%2Fb\/attempts lists/,
    );
    expect(link).toBe(`${url}/api/v1/pipelines/a%2Fb`);
  });

  it('of a batch prediction has the failed images, and the results of a failed job', () => {
    const counts = { batchId: 'a/b', modelName: 'roses', version: 4, items: 10, done: 7, failed: 2, error: null };
    const completed = notificationText('batch_prediction.completed', counts, url);
    expect(completed.text).toMatch(/Version 4 of roses predicted 10 images\. 2 of them failed/);
    expect(completed.link).toBe(`${url}/api/v1/batch-predictions/a%2Fb`);
    const error = { code: 'not_found', message: 'Version 4 of roses was deleted' };
    expect(textOf('batch_prediction.failed', { ...counts, error })).toMatch(
      /failed after 7 of 10 images\. Version 4 of roses was deleted\. The images predicted so far are in its results/,
    );
  });

  it('of an ingestion has its counts, what to look at, and the training that follows', () => {
    const counts = { runId: 'a/b', dataset: 'flowers', version: 2, files: 20, newImages: 3, duplicates: 1 };
    const clean = notificationText('ingestion.completed', { ...counts, quarantined: 0, conflicts: 0, note: null }, url);
    expect(clean).toEqual({
      subject: 'flowers: an ingestion has finished with version 2',
      text: '20 files were read for flowers, which is at version 2: 3 new images, 1 duplicates, 0 quarantined.',
      link: `${url}/api/v1/pipelines/a%2Fb`,
    });
    const training = { modelName: 'm', runId: 'r', reason: 'Started the retraining of m: run r.' };
    const refused = { ...counts, quarantined: 4, conflicts: 2, note: 'The images are synthetic', training };
    expect(textOf('ingestion.completed', refused)).toMatch(
      /4 quarantined\. 2 images of the dataset are in two classes.* reasons\. The images are synthetic\. Started the retraining of m: run r\.$/,
    );
  });

  it('of every outcome says what to do next', () => {
    const payload = { model_name: 'roses', version: 4, summary: 'accuracy 0.91' };
    expect(textOf('retraining.promoted', payload)).toMatch(/new version in Production.*accuracy 0\.91/);
    expect(textOf('retraining.refused', payload)).toMatch(/Production is unchanged/);
    expect(textOf('retraining.needs_approval', payload)).toMatch(/Approve or reject/);
    expect(textOf('retraining.rolled_back', payload)).toMatch(/before you promote/);
    expect(textOf('retraining.a_new_outcome', payload)).toMatch(/ended: a new outcome/);
    expect(textOf('retraining.unstarted', { model_name: 'roses', reason: 'Temporal is away' })).toMatch(
      /could not be started\. Why: Temporal is away\..*trigger\/roses/,
    );
    expect(textOf('retraining.skipped', { model_name: 'roses', reason: 'cool-down' })).toMatch(/Why: cool-down\./);
    expect(textOf('approval.requested', { ...payload, expiresAt: 'T', onExpiry: 'reject' })).toMatch(
      /before T: .*it is rejected automatically/,
    );
    expect(textOf('approval.approved', { ...payload, decidedBy: 'ada' })).toMatch(
      /is approved by ada.*goes to Production/,
    );
    expect(textOf('approval.expired', { ...payload, decidedBy: 'nobody' })).toMatch(/No answer arrived in time/);
    expect(textOf('schedule.paused', { scheduleId: 's', actor: 'ada' })).toMatch(/s was paused by ada/);
    expect(textOf('notification.test', { channel: 'slack', actor: 'ada' })).toMatch(/channel slack works/);
  });

  it('exists for unknown kinds, and has no link without a public URL', () => {
    expect(textOf('moon.full', { tideHeight: 3 })).toBe('moon.full happened: {"tide_height":3}');
    expect(notificationText('model.promotion', move, null).link).toBeNull();
    expect(textOf('toString', {})).toBe('toString happened: {}');
  });

  it('never fails, whatever the payload is, and keeps subjects on one line', () => {
    const kinds = fc.constantFrom('model.promotion', 'pipeline.failed', 'approval.rejected', 'schedule.x', '', 'x');
    fc.assert(
      fc.property(kinds, fc.jsonValue(), fc.string(), (kind, payload, name) => {
        const { subject, text } = notificationText(kind, { modelName: `${name}\r\n`, payload }, url);
        expect(subject).not.toMatch(/[\r\n]/);
        expect(subject.length).toBeLessThanOrEqual(150);
        expect(text.length).toBeLessThanOrEqual(2_000);
        notificationText(kind, payload, url);
      }),
    );
  });
});
