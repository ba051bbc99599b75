// structuredClone as the HTML standard has it, for what data consists of.
() => {
  const refuse = (what) => { throw Object.assign(new Error(`${what} could not be cloned`), { name: "DataCloneError" }); };
  const copy = (value, seen) => {
    if (typeof value === "function" || typeof value === "symbol") refuse(typeof value);
    if (value === null || typeof value !== "object") return value;
    if (seen.has(value)) return seen.get(value);
    const keep = (made) => { seen.set(value, made); return made; };
    if (value instanceof Date) return keep(new Date(value));
    if (value instanceof RegExp) return keep(new RegExp(value.source, value.flags));
    if (value instanceof ArrayBuffer) return keep(value.slice(0));
    if (ArrayBuffer.isView(value)) return keep(value.slice ? value.slice() : new DataView(value.buffer.slice(0), value.byteOffset, value.byteLength));
    if (value instanceof Error) return keep(Object.assign(new Error(value.message), { name: value.name, stack: value.stack }));
    if (value instanceof Map) { const made = keep(new Map()); for (const [key, item] of value) made.set(copy(key, seen), copy(item, seen)); return made; }
    if (value instanceof Set) { const made = keep(new Set()); for (const item of value) made.add(copy(item, seen)); return made; }
    if (value instanceof Promise || value instanceof WeakMap || value instanceof WeakSet) refuse(value.constructor.name);
    const made = keep(Array.isArray(value) ? new Array(value.length) : {});
    for (const key of Object.keys(value)) made[key] = copy(value[key], seen);
    return made;
  };
  return { structuredClone: (value) => copy(value, new Map()) };
};
