// What tests need that an app carries: they are collected first and run one after the other.
(tools) => {
  const show = (value) => tools.load("show").show(value);
  const same = (a, b, seen = []) => {
    if (Object.is(a, b)) return true;
    if (a === null || b === null || typeof a !== "object" || typeof b !== "object" || Array.isArray(a) !== Array.isArray(b)) return false;
    if (seen.some(([one, other]) => one === a && other === b)) return true;
    if (a instanceof Date && b instanceof Date) return a.getTime() === b.getTime();
    const [names, others] = [Object.keys(a), Object.keys(b)];
    return names.length === others.length && names.every((name) => name in b && same(a[name], b[name], [...seen, [a, b]]));
  };
  class AssertionError extends Error {
    constructor(message) { super(message); this.name = "AssertionError"; }
  }
  const insist = (fits, message) => { if (!fits) throw new AssertionError(message); };
  const thrownBy = (act) => { try { act(); } catch (error) { return error; } return undefined; };
  const fits = (error, wanted) => {
    if (wanted === undefined) return true;
    const text = String(error?.message ?? error);
    return wanted instanceof RegExp ? wanted.test(text) : typeof wanted === "function" ? error instanceof wanted : text.includes(String(wanted?.message ?? wanted));
  };
  const checks = (actual) => ({
    toBe: (wanted) => [Object.is(actual, wanted), `be ${show(wanted)}`],
    toEqual: (wanted) => [same(actual, wanted), `equal ${show(wanted)}`],
    toStrictEqual: (wanted) => [same(actual, wanted), `equal ${show(wanted)}`],
    toBeTruthy: () => [Boolean(actual), "be truthy"],
    toBeFalsy: () => [!actual, "be falsy"],
    toBeNull: () => [actual === null, "be null"],
    toBeUndefined: () => [actual === undefined, "be undefined"],
    toBeDefined: () => [actual !== undefined, "be defined"],
    toBeGreaterThan: (wanted) => [actual > wanted, `be greater than ${show(wanted)}`],
    toBeGreaterThanOrEqual: (wanted) => [actual >= wanted, `be at least ${show(wanted)}`],
    toBeLessThan: (wanted) => [actual < wanted, `be less than ${show(wanted)}`],
    toBeLessThanOrEqual: (wanted) => [actual <= wanted, `be at most ${show(wanted)}`],
    toBeCloseTo: (wanted, digits = 2) => [Math.abs(actual - wanted) < 10 ** -digits / 2, `be close to ${show(wanted)}`],
    toBeInstanceOf: (wanted) => [actual instanceof wanted, `be a ${wanted.name}`],
    toContain: (wanted) => [typeof actual === "string" ? actual.includes(wanted) : [...actual].includes(wanted), `contain ${show(wanted)}`],
    toContainEqual: (wanted) => [[...actual].some((item) => same(item, wanted)), `contain ${show(wanted)}`],
    toHaveLength: (wanted) => [actual?.length === wanted, `have the length ${wanted}`],
    toHaveProperty: (name, ...wanted) => {
      const value = String(name).split(".").reduce((at, part) => at?.[part], actual);
      return [wanted.length ? same(value, wanted[0]) : value !== undefined, `have the property ${name}`];
    },
    toMatch: (wanted) => [wanted instanceof RegExp ? wanted.test(actual) : String(actual).includes(wanted), `match ${show(wanted)}`],
    toMatchObject: (wanted) => [Object.keys(wanted).every((name) => same(actual?.[name], wanted[name])), `match ${show(wanted)}`],
    toThrow: (wanted) => { const error = thrownBy(actual); return [error !== undefined && fits(error, wanted), `throw${wanted === undefined ? "" : ` ${show(wanted)}`}`]; },
  });
  const asserting = (actual, isNot) => Object.fromEntries(Object.entries(checks(actual)).map(([name, check]) => [name, (...wanted) => {
    const [ok, what] = check(...wanted);
    insist(ok !== isNot, `expected ${show(actual)} ${isNot ? "not " : ""}to ${what}`);
  }]));
  const promised = (promise, isRejection) => new Proxy({}, { get: (_, name) => async (...wanted) => {
    let value;
    try {
      value = await promise;
      insist(!isRejection, `expected a rejection, got ${show(value)}`);
    } catch (error) {
      if (!isRejection || error instanceof AssertionError) throw error;
      value = name === "toThrow" ? () => { throw error; } : error;
    }
    expect(value)[name](...wanted);
  } });
  const expect = (actual) => ({ ...asserting(actual, false), not: asserting(actual, true), resolves: promised(actual, false), rejects: promised(actual, true) });
  const assert = Object.assign((value, message = "the assertion failed") => insist(value, message), {
    ok: (value, message = "the assertion failed") => insist(value, message),
    equal: (a, b, message) => insist(Object.is(a, b), message ?? `${show(a)} is not ${show(b)}`),
    strictEqual: (a, b, message) => insist(Object.is(a, b), message ?? `${show(a)} is not ${show(b)}`),
    notEqual: (a, b, message) => insist(!Object.is(a, b), message ?? `${show(a)} is ${show(b)}`),
    deepEqual: (a, b, message) => insist(same(a, b), message ?? `${show(a)} does not equal ${show(b)}`),
    throws: (act, wanted) => { const error = thrownBy(act); insist(error !== undefined && fits(error, wanted), "nothing fitting was thrown"); },
  });

  const found = [];
  let path = [];
  let hooks = { before: [], after: [] };
  const test = (name, run) => void found.push({ name: [...path, String(name)].join(" > "), run, ...hooks });
  test.skip = (name) => void found.push({ name: [...path, String(name)].join(" > "), skipped: true });
  const describe = (name, body) => {
    const [outer, kept] = [path, hooks];
    path = [...path, String(name)];
    hooks = { before: [...hooks.before], after: [...hooks.after] };
    body();
    [path, hooks] = [outer, kept];
  };
  const runOne = async ({ name, run, skipped, before, after }) => {
    if (skipped) return { name, status: "skipped", ms: 0 };
    const started = Date.now();
    let failure = null;
    try {
      for (const hook of before) await hook();
      await run();
    } catch (error) {
      failure = error;
    }
    for (const hook of after) {
      try { await hook(); } catch (error) { failure ??= error; }
    }
    const ms = Date.now() - started;
    return failure === null ? { name, status: "passed", ms } : { name, status: "failed", ms, error: String(failure), stack: String(failure?.stack ?? "") };
  };
  return {
    test,
    it: test,
    describe,
    beforeEach: (hook) => void hooks.before.push(hook),
    afterEach: (hook) => void hooks.after.push(hook),
    expect,
    assert,
    runTests: async () => {
      const results = [];
      for (const one of found) results.push(await runOne(one));
      return results;
    },
  };
};
