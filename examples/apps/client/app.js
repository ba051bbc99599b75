// A client of somebody else's API. The token is a secret: the server puts it into the request, and no script ever sees it.
const DEFAULT = "https://api.github.com";
const base = () => sharedStorage.getItem("api") ?? DEFAULT;

async function repository(request) {
  const { owner, name } = request.params;
  if (![owner, name].every((part) => /^[A-Za-z0-9._-]{1,100}$/.test(part))) return ResponseBuilder.error(404, "there is no such repository");
  const secrets = secretStorage.exists("github-token") ? { authorization: "github-token" } : {};
  let answer;
  try {
    answer = await fetch(`${base()}/repos/${owner}/${name}`, { secrets, headers: { accept: "application/json" }, timeout: 3000, retry: 2 });
  } catch (error) {
    console.warn(`the API cannot be asked: ${error.message}`);
    return ResponseBuilder.error(502, "the API cannot be asked");
  }
  if (!answer.ok) return ResponseBuilder.error(answer.status === 404 ? 404 : 502, `the API answered ${answer.status}`);
  const { full_name, stargazers_count } = await answer.json();
  return Response.json({ name: full_name, stars: stargazers_count, authorized: "authorization" in secrets }, { headers: { "cache-control": "max-age=60" } });
}

function init() {
  register("/stars/:owner/:name", "repository", "GET");
}
