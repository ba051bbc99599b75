// Lines for the app's log.
(tools) => {
  const textOf = (value) => (typeof value === "string" ? value : tools.load("show").show(value));
  const log = (level) => (...values) => tools.emit(level, values.map(textOf).join(" ").slice(0, 8192));
  const console = { log: log("info"), info: log("info"), warn: log("warn"), error: log("error"), debug: log("debug") };
  return { console, writeLog: console.log };
};
