import { createMemoryBudget } from '../../../../../api/http/middleware/limit-body.js';

describe('createMemoryBudget', () => {
  it('reserves no more than the total until some is released', () => {
    let shed = 0;
    const budget = createMemoryBudget(100, () => (shed += 1));
    const giveBack = budget.take(60);
    expect(giveBack).not.toBeNull();
    expect(budget.take(60)).toBeNull();
    expect(shed).toBe(1);
    expect(budget.take(40)).not.toBeNull();
    giveBack?.();
    expect(budget.take(60)).not.toBeNull();
  });

  it('counts a repeated release once', () => {
    const budget = createMemoryBudget(100, () => undefined);
    const giveBack = budget.take(60);
    giveBack?.();
    giveBack?.();
    expect(budget.take(101)).toBeNull();
  });
});
