describe("digest", () => {
  beforeEach(() => sharedStorage.clear());
  it("counts", () => {
    visit({ params: { what: "tea" } });
    expect(countsOf(day())).toEqual({ tea: 1 });
  });
  it("writes up the day, the most frequent first", () => expect(written("a day", { tea: 1, cake: 3 })).toMatch(/cake\*\*: 3[\s\S]*tea\*\*: 1/));
  it("is empty on a quiet day", () => expect(written("a day", {})).toContain("Nothing happened."));
  it("forgets what it has written up", () => {
    const yesterday = day(new Date(Date.now() - 86400000));
    sharedStorage.setItem(`counts-${yesterday}`, '{"tea":2}');
    summarize();
    expect(sharedStorage.getItem("digest")).toContain("tea");
    expect(countsOf(yesterday)).toEqual({});
  });
});
