import { Card, type Person } from "./views/card";

describe("page", () => {
  it("sorts", () => expect(sorted([{ name: "B", born: 1 }, { name: "A", born: 2 }] as Person[], "name")[0].name).toBe("A"));
  it("escapes", () => expect(String(Card({ person: { name: "<b>", born: 1 } }))).toContain("&lt;b&gt;"));
});
