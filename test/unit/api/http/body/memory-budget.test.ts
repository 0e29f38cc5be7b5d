import { createMemoryBudget, type BodyCharge, type MemoryBudget } from '../../../../../api/http/body/memory-budget.js';

describe('the memory budget', () => {
  let budget: MemoryBudget;
  let shed: number;
  let cut: string[];
  beforeEach(() => {
    [shed, cut] = [0, []];
    budget = createMemoryBudget({ totalBytes: 800, onShed: () => (shed += 1) });
  });

  /** A body of a client that is still arriving, and can be cut. */
  function arriving(client: string, bytes: number, name = client): BodyCharge {
    const charge = budget.open(client);
    charge.cutWith(() => cut.push(name));
    expect(charge.hold(bytes)).toBe(true);
    return charge;
  }

  it('lets a client that is alone use all of it, and no more', () => {
    arriving('a', 500);
    const second = arriving('a', 300);
    expect(budget.open('a').hold(1)).toBe(false);
    expect(shed).toBe(1);
    second.release();
    expect(budget.open('a').hold(300)).toBe(true);
    expect(cut).toEqual([]);
  });

  it('counts a growing body by what it holds now, and a repeated release once', () => {
    const charge = budget.open('a');
    expect(charge.hold(100)).toBe(true);
    expect(charge.hold(700)).toBe(true);
    expect(charge.hold(801)).toBe(false);
    charge.release();
    charge.release();
    expect(charge.hold(1)).toBe(false);
    expect(budget.open('a').hold(800)).toBe(true);
    expect(budget.open('a').hold(1)).toBe(false);
  });

  it('takes no bytes from a large client while there are enough', () => {
    arriving('large', 700);
    arriving('small', 100);
    expect(cut).toEqual([]);
  });

  it('cuts the youngest arriving body of the largest client for one below its share', () => {
    arriving('large', 400, 'old');
    arriving('large', 300, 'young');
    arriving('middle', 100);
    arriving('small', 100);
    expect(cut).toEqual(['young']);
    expect(shed).toBe(1);
    arriving('small', 50);
    expect(cut).toEqual(['young']);
  });

  it('refuses a client above its share instead of taking from others', () => {
    arriving('large', 400);
    arriving('other', 350);
    expect(budget.open('large').hold(100)).toBe(false);
    expect(cut).toEqual([]);
  });

  it('has a reserve for a client below its share when all else is in use', () => {
    const charge = budget.open('large');
    charge.hold(800);
    expect(budget.open('small').hold(100)).toBe(true);
    expect(budget.open('third').hold(1)).toBe(false);
    expect(budget.open('large').hold(1)).toBe(false);
  });

  it('divides the shares among those who hold something now', () => {
    for (const client of ['b', 'c', 'd']) arriving(client, 10).release();
    arriving('a', 800);
    arriving('e', 400);
    expect(cut).toEqual(['a']);
  });
});
