import { errorCodeOf, messageOf, type ErrorCode } from '../../contracts/errors.js';
import { withoutSecrets } from '../../platform/secrets.js';
import type { ModelVersion, Retirement } from '../../contracts/registry/registry.js';
import { backoffMs } from '../../platform/backoff.js';
import type { Engine } from '../../model/serving/engine.js';
import type { Logger } from '../../platform/logging.js';
import type { PolicyStore } from '../../stores/promotion/policies.js';
import type { RegistryStore, ServingState } from '../../stores/registry/registry.js';
import { EngineSlots, type LoadedEngine } from './engine-slots.js';
import type { LiveStatsRecorder } from './live-stats.js';
import type { LoadEngine } from './load-engine.js';
import { ServingPolicyPoller } from './serving-policy.js';
import type { ServedModel, ServingHost } from './served-model.js';

export type { ServedModel } from './served-model.js';

export interface ModelHostOptions {
  modelName: string;
  replica: { id: string; url: string };
  registry: Pick<RegistryStore, 'servingState' | 'reportReplica' | 'removeReplica'>;
  /** Read together with the serving state: the target risk of the policy decides on abstentions. */
  policies: Pick<PolicyStore, 'get'>;
  /** Hints of a new generation; returns the function that stops it. The poll is authoritative. */
  subscribe: (onHint: () => void) => Promise<() => Promise<void>>;
  loadEngine: LoadEngine;
  onChange: (served: ServedModel | null) => void;
  liveStats: Pick<LiveStatsRecorder, 'begin' | 'read'>;
  logger: Logger;
  pollMs: number;
}

export interface ModelHost extends ServingHost {
  start(): void;
  /** Resolves once the serving state was read and its model is loaded, or failed to load. */
  settled(): Promise<void>;
  /** Stops polling and deletes this replica's row, so that no promotion waits for it; it still predicts. */
  drain(): Promise<void>;
  /** Drains, then closes the engine. */
  stop(): Promise<void>;
}

const retryMs = { first: 1_000, most: 30_000 };

/**
 * Serves the Production version. Each new generation is loaded, warmed up and probed beside the serving one, then
 * replaces it in one assignment. The previous engine stays loaded, so that a rollback takes milliseconds; the one before
 * answers its accepted jobs and is closed. A generation that fails to load only changes the report of this replica, and is
 * retried with back-off.
 */
export function createModelHost(options: ModelHostOptions): ModelHost {
  return new Host(options);
}

interface Failure {
  generation: number;
  code: ErrorCode;
  message: string;
  tries: number;
  retryAt: number;
}

class Host implements ModelHost {
  private served: ServedModel | null = null;
  private retired: Retirement | null = null;
  private readonly slots: EngineSlots;
  private readonly policy: ServingPolicyPoller;
  /** The generation applied last. */
  private generation = 0;
  private failed: Failure | null = null;
  private reachable = false;
  private loading: Promise<void> | null = null;
  private stopped = false;
  private hinted = false;
  private endPause: () => void = () => undefined;
  private loop: Promise<void> = Promise.resolve();
  private left: Promise<void> | null = null;
  private settle: () => void = () => undefined;
  private readonly firstLook = new Promise<void>((resolve) => {
    this.settle = resolve;
  });

  constructor(private readonly options: ModelHostOptions) {
    this.slots = new EngineSlots(options.logger);
    this.policy = new ServingPolicyPoller(options);
  }

  current(): ServedModel | null {
    return this.served;
  }

  retirement(): Retirement | null {
    return this.retired;
  }

  settled(): Promise<void> {
    return this.firstLook;
  }

  start(): void {
    this.loop = this.follow();
  }

  drain(): Promise<void> {
    this.left ??= this.endFollowing();
    return this.left;
  }

  async stop(): Promise<void> {
    await this.drain();
    await this.loading;
    this.replace(null, null, this.generation);
    await this.slots.close();
  }

  private async endFollowing(): Promise<void> {
    this.stopped = true;
    this.wake();
    // The last poll may still report; later reports are suppressed.
    await this.loop;
    try {
      await this.options.registry.removeReplica(this.options.replica.id);
    } catch (error) {
      this.options.logger.warn({ error }, 'the row of this replica stays until it expires');
    }
  }

  private async follow(): Promise<void> {
    const unsubscribe = await this.options.subscribe(() => this.wake());
    while (!this.stopped) {
      await this.look();
      await this.pause();
    }
    await unsubscribe();
  }

  private wake(): void {
    this.hinted = true;
    this.endPause();
  }

  /** Waits for the next poll or a hint; a hint during the last poll counts too. */
  private async pause(): Promise<void> {
    if (!this.stopped && !this.hinted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, this.options.pollMs);
        this.endPause = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.hinted = false;
  }

  /** Compares the serving state with the served model, loads on a difference, and reports this replica. */
  private async look(): Promise<void> {
    try {
      const reading = this.options.registry.servingState(this.options.modelName);
      const [state] = await Promise.all([reading, this.policy.look()]);
      if (!this.reachable) this.options.logger.info('Postgres is reachable again');
      this.reachable = true;
      this.followPolicy();
      if (this.isDue(state.generation)) this.begin(state);
      if (!this.loading) this.settle();
      await this.report();
    } catch (error) {
      if (this.reachable) this.options.logger.warn({ error }, 'Postgres is not reachable; the loaded model stays');
      this.reachable = false;
    }
  }

  /** A policy change needs no new engine. */
  private followPolicy(): void {
    if (!this.served || this.served.serving === this.policy.serving) return;
    this.served = { ...this.served, ...this.policy.applyTo(this.served.engine) };
  }

  private isDue(generation: number): boolean {
    if (this.loading || this.stopped || generation === this.generation) return false;
    return this.failed?.generation !== generation || Date.now() >= this.failed.retryAt;
  }

  private begin(state: ServingState): void {
    // Always resolves on a later turn, also if there is nothing to load.
    this.loading = this.bringIntoEffect(state).finally(() => {
      this.loading = null;
      this.settle();
      // Report now, so that a promotion does not wait for the next poll.
      this.wake();
    });
  }

  private async bringIntoEffect({ generation, version, retirement }: ServingState): Promise<void> {
    const { logger } = this.options;
    try {
      const loaded = version && (await this.load(version));
      this.failed = null;
      this.retired = retirement;
      this.replace(loaded, version, generation);
      if (retirement) this.slots.empty();
      logger.info({ generation, version: version?.version ?? null }, 'serving');
    } catch (error) {
      this.noteFailure(generation, error);
      logger.error({ generation, version: version?.version ?? null, error }, 'a generation cannot be served');
    }
  }

  /** The current or previous engine if it has the same bundle, as after a rollback; else a new one. */
  private async load(version: ModelVersion): Promise<LoadedEngine> {
    const { bundleSha256 } = version;
    return this.slots.find(bundleSha256) ?? { engine: await this.options.loadEngine(version), bundleSha256 };
  }

  private replace(next: LoadedEngine | null, version: ModelVersion | null, generation: number): void {
    this.options.liveStats.begin(next && version && { generation, version: version.version });
    this.served = next && version && this.serve(next.engine, version, generation);
    this.generation = generation;
    this.options.onChange(this.served);
    this.slots.put(next);
  }

  private serve(engine: Engine, version: ModelVersion, generation: number): ServedModel {
    return { engine, version, generation, loadedAt: new Date(), ...this.policy.applyTo(engine) };
  }

  private noteFailure(generation: number, error: unknown): void {
    const tries = this.failed?.generation === generation ? this.failed.tries + 1 : 1;
    const [code, message] = [errorCodeOf(error), withoutSecrets(messageOf(error))];
    this.failed = { generation, code, message, tries, retryAt: Date.now() + backoffMs(retryMs, tries) };
  }

  private report(): Promise<void> {
    const { registry, replica, modelName } = this.options;
    return registry.reportReplica({
      replicaId: replica.id,
      url: replica.url,
      modelName,
      generation: this.failed?.generation ?? this.generation,
      version: this.served?.version.version ?? null,
      error: this.failed?.message ?? null,
      errorCode: this.failed?.code ?? null,
      figures: this.options.liveStats.read(),
    });
  }
}
