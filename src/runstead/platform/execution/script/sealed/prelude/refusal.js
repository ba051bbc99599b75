// Errors that are answers: who does not catch one has answered with it.
(tools) => {
  class Refused extends Error {
    constructor(status, message, name) { super(message); this.name = name; this.status = status; }
    [tools.reply]() { return tools.load("body").typed("application/json", tools.stringify({ error: this.message }), this.status); }
  }
  const refused = (status, message, name = "RefusedError") => new Refused(status, message, name);
  return {
    refused,
    // What a client sent that is no JSON is the client's mistake, unless the script has something to say of it.
    json: (text) => {
      try {
        return tools.parse(text);
      } catch (error) {
        throw refused(400, `the body is no JSON: ${error.message}`, "SyntaxError");
      }
    },
  };
};
