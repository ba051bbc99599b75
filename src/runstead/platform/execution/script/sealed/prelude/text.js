// Escaping, and a template tag that escapes by itself.
(tools) => {
  const entities = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  const escapeHtml = (text) => String(text).replace(/[&<>"']/g, (found) => entities[found]);
  class Html {
    constructor(text) { this.text = text; }
    toString() { return this.text; }
    toJSON() { return this.text; }
    [tools.reply]() { return tools.load("body").typed("text/html; charset=utf-8", this.text); }
  }
  const filled = (value) => {
    if (value instanceof Html) return value.text;
    return Array.isArray(value) ? value.map(filled).join("") : escapeHtml(value ?? "");
  };
  return {
    escapeHtml,
    escapeJs: (text) => String(text).replace(
      /[\\'"`<>&\/\u0000-\u001f\u2028\u2029]/g,
      (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`,
    ),
    encodeUrl: (text) => encodeURIComponent(String(text)),
    html: (texts, ...values) => new Html(texts.reduce((whole, text, index) => whole + filled(values[index - 1]) + text)),
  };
};
