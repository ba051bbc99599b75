// The short ways to a Response.
(tools) => {
  const { Response } = tools.load("web");
  const typed = (type, text, status) => new Response(String(text), { status, headers: { "content-type": type } });
  return {
    ResponseBuilder: {
      json: (data, status = 200) => Response.json(data, { status }),
      text: (text, status = 200) => typed("text/plain; charset=utf-8", text, status),
      html: (text, status = 200) => typed("text/html; charset=utf-8", text, status),
      error: (status, message) => Response.json({ error: String(message) }, { status }),
      noContent: () => new Response(null, { status: 204 }),
      redirect: (location) => Response.redirect(location),
    },
  };
};
