// A relay: what comes in on one address goes out to others, signed, and is tried again until it is taken.
const targets = () => JSON.parse(sharedStorage.getItem("targets") ?? "[]");

function receive(request) {
  let data;
  try {
    data = request.json();
  } catch {
    return ResponseBuilder.error(400, "the body is no JSON");
  }
  dispatcher.sendMessage("relay.received", data);
  return ResponseBuilder.json({ targets: targets().length }, 202);
}

// Who is told is kept; the server takes it over with the next init.
function setTargets(request) {
  auth.requireAdmin();
  const wanted = request.json();
  if (!Array.isArray(wanted) || !wanted.every((one) => URL.canParse(one) && /^https?:/.test(one))) return ResponseBuilder.error(422, "a list of URLs is needed");
  sharedStorage.setItem("targets", JSON.stringify(wanted));
  return ResponseBuilder.json({ targets: wanted });
}

function heard(context) {
  console.log(`relaying ${JSON.stringify(context.message.data).length} characters`);
}

function init() {
  register("/relay", "receive", "POST");
  register("/relay/targets", "setTargets", "PUT");
  dispatcher.registerListener("relay.received", "heard");
  for (const url of targets()) registerWebhook("relay.received", url, { secret: "relay-key" });
}
