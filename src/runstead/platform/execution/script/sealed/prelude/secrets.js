// Whether there are secrets, and those of a signed-in user may be set. No call ever answers with a value.
(tools) => ({
  secretStorage: Object.freeze({
    exists: (id) => tools.ask("secrets.exists", String(id)),
    list: () => tools.ask("secrets.list"),
    setSecret: (key, value) => void tools.ask("secrets.set", String(key), String(value)),
    removeSecret: (key) => tools.ask("secrets.remove", String(key)),
    clear: () => tools.ask("secrets.clear"),
  }),
});
