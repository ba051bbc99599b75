// Form bodies, and bodies that are no text.
() => {
  const decode = (text) => {
    const spaced = text.replaceAll("+", " ");
    try {
      return decodeURIComponent(spaced);
    } catch {
      return spaced;
    }
  };
  const pairs = (text) => text.split("&").filter(Boolean).map((pair) => {
    const at = pair.indexOf("=");
    return at < 0 ? [decode(pair), ""] : [decode(pair.slice(0, at)), decode(pair.slice(at + 1))];
  });
  const base64 = (bytes) => {
    let binary = "";
    for (let at = 0; at < bytes.length; at += 8192) binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
    return btoa(binary);
  };
  return {
    pairs,
    // Of a name that comes twice the last one, as in request.query.
    formOf: (request) => {
      if (request.fields) return request.fields;
      const isForm = /^application\/x-www-form-urlencoded\b/i.test(request.headers["content-type"] ?? "");
      return isForm ? Object.fromEntries(pairs(request.body ?? "")) : {};
    },
    carry: (request, bytes) => {
      const refuse = () => { throw new TypeError("the body is not text: use request.bytes()"); };
      delete request.bodyBytes;
      Object.defineProperty(request, "bodyBase64", { get: () => base64(bytes), enumerable: true });
      for (const [name, value] of Object.entries({ text: refuse, json: refuse, bytes: () => bytes })) Object.defineProperty(request, name, { value });
    },
  };
};
