// Calls to MCP servers elsewhere: JSON-RPC 2.0 over HTTP (modelcontextprotocol.io, streamable HTTP), with a secret that the server puts in.
(tools) => {
  const { fetch } = tools.load("fetch");
  class McpClient {
    #url; #secret; #session = null; #id = 0;
    constructor(url, secret = null) { this.#url = String(url); this.#secret = secret === null || secret === undefined ? null : String(secret); }
    async #call(method, params) {
      const headers = { "content-type": "application/json", accept: "application/json, text/event-stream", "mcp-protocol-version": "2025-06-18" };
      if (this.#session) headers["mcp-session-id"] = this.#session;
      if (this.#secret) headers.authorization = `Bearer {{secret:${this.#secret}}}`;
      const id = ++this.#id;
      const response = await fetch(this.#url, { method: "POST", headers, body: tools.stringify({ jsonrpc: "2.0", id, method, params }) });
      this.#session ??= response.headers.get("mcp-session-id");
      const text = await response.text();
      if (!response.ok) throw new Error(`the MCP server answered ${response.status}: ${text.slice(0, 200)}`);
      const isEvents = (response.headers.get("content-type") ?? "").startsWith("text/event-stream");
      const texts = isEvents ? text.split(/\r?\n\r?\n/).map((event) => event.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5)).join("\n")) : [text];
      const answer = texts.filter(Boolean).map((one) => tools.parse(one)).find((one) => one.id === id);
      if (!answer) throw new Error("the MCP server did not answer");
      if (answer.error) throw new Error(`the MCP server refused: ${answer.error.message}`);
      return answer.result;
    }
    initialize() { return this.#call("initialize", { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "runstead", version: "1" } }); }
    async listTools() { return (await this.#call("tools/list", {})).tools; }
    callTool(name, args = {}) { return this.#call("tools/call", { name: String(name), arguments: args }); }
    async listResources() { return (await this.#call("resources/list", {})).resources; }
    readResource(uri) { return this.#call("resources/read", { uri: String(uri) }); }
    async listPrompts() { return (await this.#call("prompts/list", {})).prompts; }
    getPrompt(name, args = {}) { return this.#call("prompts/get", { name: String(name), arguments: args }); }
  }
  return { McpClient };
};
