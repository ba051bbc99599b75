// A digest: what happens is counted, and once a day the clock has it written up.
const day = (date = new Date()) => date.toISOString().slice(0, 10);
const countsOf = (name) => JSON.parse(sharedStorage.getItem(`counts-${name}`) ?? "{}");

function visit(request) {
  const { what } = request.params;
  const counts = countsOf(day());
  if (Object.keys(counts).length < 100 || what in counts) counts[what] = (counts[what] ?? 0) + 1;
  sharedStorage.setItem(`counts-${day()}`, JSON.stringify(counts));
  return ResponseBuilder.json(counts);
}

const written = (name, counts) => convert.render_handlebars_template(
  "# {{name}}\n\n{{#each rows}}- **{{what}}**: {{count}}\n{{else}}Nothing happened.\n{{/each}}",
  { name, rows: Object.entries(counts).sort(([, a], [, b]) => b - a).map(([what, count]) => ({ what, count })) },
);

function summarize() {
  const yesterday = day(new Date(Date.now() - 86400000));
  sharedStorage.setItem("digest", written(yesterday, countsOf(yesterday)));
  sharedStorage.removeItem(`counts-${yesterday}`);
  console.log(`the digest of ${yesterday} is written`);
}

function show() {
  return ResponseBuilder.html(convert.markdown_to_html(sharedStorage.getItem("digest") ?? written(day(), countsOf(day()))));
}

function init() {
  register("/digest", "show", "GET");
  register("/digest/visit/:what", "visit", "POST");
  const midnight = new Date(new Date().setUTCHours(24, 0, 5, 0));
  schedulerService.registerRecurring({ handler: "summarize", name: "daily", intervalMinutes: 24 * 60, startAt: midnight });
}
