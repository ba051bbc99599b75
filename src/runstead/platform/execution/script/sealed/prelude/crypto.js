// Randomness that is worth the name: from the kernel. Digests as Web Crypto has them.
(tools) => ({
  crypto: Object.freeze({
    subtle: Object.freeze({
      digest: async (algorithm, data) => {
        const name = String(algorithm?.name ?? algorithm).toUpperCase();
        if (!["SHA-1", "SHA-256", "SHA-384", "SHA-512"].includes(name)) throw Object.assign(new Error(`${name} is no digest`), { name: "NotSupportedError" });
        const bytes = ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);
        return tools.digest(name, bytes).slice().buffer;
      },
    }),
    getRandomValues: (array) => {
      if (!ArrayBuffer.isView(array) || array.byteLength > 65536) throw new TypeError("up to 65536 bytes of a typed array");
      new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(tools.random(array.byteLength));
      return array;
    },
    randomUUID: () => {
      const bytes = tools.random(16);
      bytes[6] = (bytes[6] & 0x0f) | 0x40;
      bytes[8] = (bytes[8] & 0x3f) | 0x80;
      const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
      return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
    },
  }),
});
