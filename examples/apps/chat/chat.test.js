const asked = (room, body) => ({ params: { room }, json: () => body });

describe("chat", () => {
  it("knows rooms", () => expect(listen(asked("garden"))).toEqual({ room: "garden" }));
  it("refuses others", () => expect(listen(asked("../x")).status).toBe(404));
  it("refuses empty messages", () => expect(speak(asked("garden", { text: "  " })).status).toBe(422));
  it("writes rooms safely into its page", () => expect(page({ params: { room: "</script>" } }).status).toBe(404));
});
