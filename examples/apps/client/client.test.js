const asked = (owner, name) => ({ params: { owner, name } });
const answering = (status, body) => { globalThis.fetch = async () => Response.json(body, { status }); };

describe("client", () => {
  it("passes on what it learns", async () => {
    answering(200, { full_name: "a/b", stargazers_count: 7 });
    expect(await (await repository(asked("a", "b"))).json()).toMatchObject({ name: "a/b", stars: 7 });
  });
  it("says when there is none", async () => { answering(404, {}); expect((await repository(asked("a", "b"))).status).toBe(404); });
  it("hides what else went wrong", async () => { answering(500, {}); expect((await repository(asked("a", "b"))).status).toBe(502); });
  it("asks for names only", async () => expect((await repository(asked("..", "../user"))).status).toBe(404));
});
