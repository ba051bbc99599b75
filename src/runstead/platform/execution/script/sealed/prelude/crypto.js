// Randomness that is worth the name: from the kernel.
(tools) => ({
  crypto: Object.freeze({
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
