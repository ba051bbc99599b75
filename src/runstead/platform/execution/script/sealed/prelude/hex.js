// Bytes on their way between a script and the server: calls carry JSON.
() => {
  const HEX = "0123456789abcdef";
  const hexOf = (bytes) => { let text = ""; for (const byte of bytes) text += HEX[byte >> 4] + HEX[byte & 15]; return text; };
  const unhex = (text) => {
    const bytes = new Uint8Array(text.length / 2);
    for (let at = 0; at < bytes.length; at++) bytes[at] = parseInt(text.substr(at * 2, 2), 16);
    return bytes;
  };
  return { hexOf, unhex };
};
