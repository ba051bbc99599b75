const good = { name: "Ada", mail: "ada@example.org", message: "Ten characters and more" };

describe("form", () => {
  it("takes a message", () => expect(problemsOf(good)).toEqual({}));
  it("says what is wrong", () => expect(Object.keys(problemsOf({ ...good, mail: "ada", message: "" }))).toEqual(["mail", "message"]));
  it("escapes what people type", () => expect(String(page({ ...good, name: '"><script>' }, {}))).not.toContain("<script>"));
});
