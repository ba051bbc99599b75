// Files of a form: they lie on the server's disk, and are read from there.
(tools) => {
  const PIECE = 262144;
  const { unhex } = tools.load("hex");
  class File {
    #id;
    constructor({ id, field, name, type, size }) { this.#id = id; Object.assign(this, { field, name, filename: name, type, size }); }
    async *stream() {
      for (let at = 0; at < this.size; at += PIECE) yield unhex(await tools.later("upload.read", this.#id, at, PIECE));
    }
    async bytes() {
      const all = new Uint8Array(this.size);
      let at = 0;
      for await (const piece of this.stream()) { all.set(piece, at); at += piece.length; }
      return all;
    }
    async arrayBuffer() { return (await this.bytes()).buffer; }
    async text() { return new TextDecoder().decode(await this.bytes()); }
    async json() { return tools.parse(await this.text()); }
    // Keeps the file as an asset of the app, without its bytes passing through the script.
    async save(name = this.name) { return tools.later("assets.save", this.#id, String(name)); }
  }
  return { filesOf: (files) => files.map((file) => new File(file)) };
};
