describe("names of files", () => {
  it("lead nowhere", () => expect(nameOf("../../etc/passwd")).toBe("passwd"));
  it("are simple", () => expect(nameOf("C:\\my photos\\ä b.png")).toBe("__b.png"));
  it("are never hidden", () => expect(nameOf(".htaccess")).toBe("htaccess"));
});
