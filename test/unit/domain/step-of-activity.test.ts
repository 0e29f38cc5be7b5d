import { ingestionSteps, retrainingSteps } from '../../../contracts/names.js';
import { stepOfActivity } from '../../../domain/step-of-activity.js';

const stepsNamed = (names: readonly string[]): { name: string }[] => names.map((name) => ({ name }));
const retraining = { id: 'r-1', workflowId: 'retrain-rose', steps: stepsNamed(retrainingSteps) };
const ingestion = { id: 'i-1', workflowId: 'ingest-flowers-x', steps: stepsNamed(ingestionSteps) };

describe('the step of an activity', () => {
  it.each([
    ['retrain-rose', 'checkModelPerformance', 'check_model_performance'],
    ['retrain-rose', 'selectTrainingData', 'prepare_training_data'],
    ['retrain-rose', 'openPipeline', 'start'],
    ['retrain-rose', 'enterSteps', null],
    ['retrain-rose', 'extractFeatures', 'train_new_model'],
    ['retrain-rose', 'fitModel', 'train_new_model'],
    ['retrain-rose', 'checkReplicas', 'deploy_new_model'],
    ['retrain-rose-r-1-train_new_model', 'fitModel', 'train_new_model'],
    ['retrain-rose-r-1-prepare_training_data-0', 'scanSource', 'prepare_training_data'],
    ['retrain-rose-r-1-prepare_training_data-0-i-9-deeper', 'scanSource', 'prepare_training_data'],
    ['retrain-rose-r-1-something_else', 'scanSource', null],
  ])('of %s, %s, is %s', (workflowId, activityType, step) => {
    expect(stepOfActivity(retraining, { workflowId, activityType })).toBe(step);
  });

  it('is the only one of a pipeline that has one', () => {
    const guard = { id: 'g', workflowId: 'guard-rose', steps: stepsNamed(['guard_promotion']) };
    expect(stepOfActivity(guard, { workflowId: 'guard-rose', activityType: 'anything' })).toBe('guard_promotion');
  });

  it('is known for every activity of an ingestion that does its work', () => {
    const types = ['resolveSource', 'scanSource', 'ingestBatch', 'commitDatasetVersion'];
    const steps = types.map((activityType) =>
      stepOfActivity(ingestion, { workflowId: 'ingest-flowers-x', activityType }),
    );
    expect(steps).toEqual([...ingestionSteps]);
  });
});
