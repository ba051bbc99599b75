// Values as people read them, for the console.
(tools) => {
  const DEPTH_MAX = 4;
  const ITEMS_MAX = 100;
  const plainly = (value) => {
    if (typeof value === "bigint") return `${value}n`;
    if (typeof value === "function") return `[Function ${value.name || "anonymous"}]`;
    return String(value);
  };
  const listed = (open, items, close) => (items.length ? `${open}${items.join(", ")}${close}` : `${open.trim()}${close.trim()}`);
  const limited = (values, write) => {
    const items = [];
    for (const value of values) {
      if (items.length === ITEMS_MAX) {
        items.push("…");
        break;
      }
      items.push(write(value));
    }
    return items;
  };
  const show = (value, above) => {
    if (typeof value === "string") return above.length ? tools.stringify(value) : value;
    if (value === null || typeof value !== "object") return plainly(value);
    if (value instanceof Error) return value.stack ? `${value}\n${value.stack.trimEnd()}` : String(value);
    if (above.includes(value)) return "[Circular]";
    if (value instanceof Date || value instanceof RegExp) return String(value);
    if (above.length === DEPTH_MAX) return Array.isArray(value) ? "[Array]" : "[Object]";
    const inner = (item) => show(item, [...above, value]);
    if (Array.isArray(value)) return listed("[", limited(value, inner), "]");
    if (value instanceof Set) return listed("Set { ", limited(value, inner), " }");
    if (value instanceof Map) return listed("Map { ", limited(value, ([key, item]) => `${inner(key)} => ${inner(item)}`), " }");
    if (ArrayBuffer.isView(value)) return `[${value.constructor?.name} of ${value.byteLength} bytes]`;
    return listed("{ ", limited(Object.keys(value), (key) => `${key}: ${inner(value[key])}`), " }");
  };
  return {
    // Getters and proxies may throw; a line of a log is not worth the request.
    show: (value) => {
      try {
        return show(value, []);
      } catch (error) {
        return `[not to be shown: ${error?.name}]`;
      }
    },
  };
};
