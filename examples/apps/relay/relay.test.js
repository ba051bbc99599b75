describe("relay", () => {
  it("refuses what is no JSON", () => expect(receive({ json: () => { throw new SyntaxError("x"); } }).status).toBe(400));
  it("has no targets at first", () => { sharedStorage.clear(); expect(targets()).toEqual([]); });
  it("tells only what is an address", () => expect(setTargets({ json: () => ["ftp://example.org"] }).status).toBe(422));
});
