// JSX to text: what h() makes knows how to write itself, escaped.
(tools) => {
  const { escapeHtml, html } = tools.load("text");
  const raw = (text) => html([text]);
  const VOID = new Set(["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]);
  const NAME = /^[A-Za-z][A-Za-z0-9:_-]*$/;
  const kebab = (name) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const styleOf = (style) => (typeof style === "object" ? Object.entries(style).map(([name, value]) => `${kebab(name)}:${value}`).join(";") : style);
  const attribute = ([name, value]) => {
    const real = name === "className" ? "class" : name === "htmlFor" ? "for" : name;
    if (value === null || value === undefined || value === false || typeof value === "function" || !/^[A-Za-z_:@][\w:.@-]*$/.test(real)) return "";
    return value === true ? ` ${real}` : ` ${real}="${escapeHtml(real === "style" ? styleOf(value) : value)}"`;
  };
  const written = (child) => {
    if (child === null || child === undefined || typeof child === "boolean") return "";
    if (Array.isArray(child)) return child.map(written).join("");
    return typeof child === "object" && tools.reply in child ? String(child) : escapeHtml(child);
  };
  const Fragment = ({ children }) => raw(written(children));
  const h = (type, props, ...rest) => {
    const { children: given, dangerouslySetInnerHTML: inner, key, ref, ...others } = props ?? {};
    const children = rest.length ? rest : given;
    if (typeof type === "function") return type({ ...others, children });
    if (!NAME.test(type)) throw new TypeError(`${String(type)} is no name of an element`);
    const open = `<${type}${Object.entries(others).map(attribute).join("")}>`;
    return raw(VOID.has(type.toLowerCase()) ? open : `${open}${inner ? inner.__html : written(children)}</${type}>`);
  };
  const jsx = (type, props) => h(type, props);
  return { h, Fragment, jsx, jsxs: jsx, jsxDEV: jsx };
};
