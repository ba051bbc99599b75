// A form: shown, checked, answered. Nothing is kept; what people type is escaped by the template itself.
const EMPTY = { name: "", mail: "", message: "" };

function problemsOf({ name, mail, message }) {
  const problems = {};
  if (!name.trim()) problems.name = "Who are you?";
  if (!/^[^@\s]+@[^@\s]+\.[^@\s]+$/.test(mail)) problems.mail = "This is no mail address.";
  if (message.trim().length < 10) problems.message = "A little more, please: ten characters.";
  return problems;
}

const field = (name, label, values, problems) => html`
  <p><label>${label} <input name="${name}" value="${values[name]}"></label> <strong>${problems[name] ?? ""}</strong></p>`;

const page = (values, problems) => html`<!doctype html><title>Write to us</title><h1>Write to us</h1>
<form method="post" action="/form">
  ${field("name", "Name", values, problems)}
  ${field("mail", "Mail", values, problems)}
  ${field("message", "Message", values, problems)}
  <button>Send</button>
</form>`;

function show() {
  return ResponseBuilder.html(page(EMPTY, {}));
}

function send(request) {
  const values = { ...EMPTY, ...request.form };
  const problems = problemsOf(values);
  if (Object.keys(problems).length) return ResponseBuilder.html(page(values, problems), 422);
  console.log(`a message of ${values.message.length} characters came in`);
  return ResponseBuilder.html(html`<!doctype html><title>Thank you</title><h1>Thank you, ${values.name}!</h1>`);
}

function init() {
  register("/form", "show", "GET");
  register("/form", "send", "POST");
}
