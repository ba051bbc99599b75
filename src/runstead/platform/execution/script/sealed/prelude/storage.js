// Texts by key: of the app, and of the app and one user.
(tools) => {
  const area = (name) => Object.freeze({
    getItem: (key) => tools.ask(`${name}.get`, String(key)),
    setItem: (key, value) => void tools.ask(`${name}.set`, String(key), String(value)),
    removeItem: (key) => void tools.ask(`${name}.remove`, String(key)),
    clear: () => void tools.ask(`${name}.clear`),
  });
  return { sharedStorage: area("shared"), personalStorage: area("personal") };
};
