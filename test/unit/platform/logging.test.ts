import { z } from 'zod';
import { createLogCapture, createLogger, type LogCapture } from '../../../platform/logging.js';

const written: string[] = [];
const logger = createLogger('test', 'warn', { write: (line) => void written.push(line) });

function linesOf(capture: LogCapture): string[] {
  return capture.lines.map((line) => z.object({ message: z.string() }).parse(JSON.parse(line)).message);
}

describe('a log capture', () => {
  it('captures what its work logs, also in awaited code, and nothing else', async () => {
    const capture = createLogCapture();
    const other = createLogCapture();
    logger.warn('before');
    const work = capture.during(async () => {
      logger.warn('begun');
      await new Promise((resolve) => setTimeout(resolve, 5));
      logger.child({ step: 'fit' }).warn('after waiting');
      logger.info('below the level');
    });
    other.during(() => logger.warn('of another'));
    await work;
    logger.warn('after');
    expect(linesOf(capture)).toEqual(['begun', 'after waiting']);
    expect(linesOf(other)).toEqual(['of another']);
    expect(capture.droppedLines).toBe(0);
    expect(written).toHaveLength(5);
    expect(written[1]).toBe(capture.lines[0]);
  });

  it('retains the newest 200 lines', () => {
    const capture = createLogCapture();
    capture.during(() => {
      for (let index = 0; index < 250; index += 1) logger.warn(String(index));
    });
    expect(linesOf(capture)).toHaveLength(200);
    expect(linesOf(capture).at(-1)).toBe('249');
    expect(capture.droppedLines).toBe(50);
  });

  it('retains at most 32 kB', () => {
    const capture = createLogCapture();
    capture.during(() => {
      for (let index = 0; index < 5; index += 1) logger.warn('ä'.repeat(5_000));
      logger.warn('x'.repeat(40_000));
      logger.warn('last');
    });
    expect(linesOf(capture)).toEqual(['last']);
    expect(capture.droppedLines).toBe(6);
  });
});
