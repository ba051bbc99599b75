// A chat: messages go out by Server-Sent Events, to those in the room; who connects again gets what was missed.
const ROOM = /^[a-z0-9-]{1,32}$/;
const LENGTH_MAX = 500;

function page(request) {
  const { room } = request.params;
  if (!ROOM.test(room)) return ResponseBuilder.error(404, "there is no such room");
  return ResponseBuilder.html(html`<!doctype html><title>${room}</title><h1>${room}</h1><ol id="said"></ol>
<form id="say"><input name="text" maxlength="${LENGTH_MAX}" autofocus> <button>Say</button></form>
<script nonce="${request.cspNonce ?? ""}">
  const room = ${html([JSON.stringify(room)])};
  new EventSource("/chat/" + room + "/events").onmessage = ({ data }) => {
    const item = document.createElement("li");
    const { who, text } = JSON.parse(data);
    item.textContent = who + ": " + text;
    said.append(item);
  };
  say.onsubmit = async (event) => {
    event.preventDefault();
    await fetch("/chat/" + room, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ text: say.text.value }) });
    say.reset();
  };
</script>`);
}

function speak(request) {
  const { room } = request.params;
  const text = String(request.json()?.text ?? "").trim();
  if (!ROOM.test(room) || !text || text.length > LENGTH_MAX) return ResponseBuilder.error(422, `a message has 1 to ${LENGTH_MAX} characters`);
  const reached = routeRegistry.sendStreamMessage(`/chat/${room}/events`, { who: auth.userName ?? "somebody", text });
  return ResponseBuilder.json({ reached }, 202);
}

// Who may listen: everybody, in rooms that there are.
function listen(request) {
  return ROOM.test(request.params.room) ? { room: request.params.room } : ResponseBuilder.error(404, "there is no such room");
}

function init() {
  register("/chat/:room", "page", "GET");
  register("/chat/:room", "speak", "POST");
  routeRegistry.registerStreamRoute("/chat/:room/events", "listen");
}
