const asked = (body, params = {}) => ({ json: () => body, params });

describe("todo", () => {
  it("adds and lists", async () => {
    const made = await (await add(asked({ text: "write" }))).json();
    expect(made).toMatchObject({ text: "write", done: 0, version: 1 });
    expect((await (await list()).json()).map((one) => one.text)).toContain("write");
  });
  it("refuses nothing to do", async () => expect((await add(asked({ text: " " }))).status).toBe(422));
  it("notices that somebody was faster", async () => {
    const { id } = await (await add(asked({ text: "race" }))).json();
    expect((await change(asked({ done: true, version: 1 }, { id }))).status).toBe(200);
    expect((await change(asked({ text: "other", version: 1 }, { id }))).status).toBe(409);
  });
});
