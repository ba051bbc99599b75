// Conversions that the server does, in a sealed process of its own.
(tools) => ({
  convert: Object.freeze({
    markdown_to_html: (text) => tools.ask("convert.markdown", String(text)),
    render_handlebars_template: (template, data) => tools.ask("convert.handlebars", String(template), typeof data === "string" ? data : tools.stringify(data ?? {})),
    btoa: (text) => btoa(String(text)),
    atob: (text) => atob(String(text)),
  }),
});
