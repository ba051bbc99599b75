const asked = (name, accept = "") => ({ params: { name }, headers: { accept } });

describe("hello", () => {
  it("greets programs", async () => expect(await hello(asked("you")).json()).toEqual({ hello: "you" }));
  it("greets browsers, and escapes", async () => expect(await hello(asked("<you>", "text/html")).text()).toContain("Hello, &lt;you&gt;!"));
});
