// A page in TypeScript and JSX, of two files. What stands in braces is escaped.
import { Card, type Person } from "./views/card";

const PEOPLE: Person[] = [
  { name: "Ada", born: 1815 },
  { name: "Grace <Hopper>", born: 1906 },
];

export const sorted = (people: Person[], by: keyof Person): Person[] =>
  [...people].sort((a, b) => (a[by] < b[by] ? -1 : 1));

function people(request: { query: { by?: string } }) {
  const by: keyof Person = request.query.by === "name" ? "name" : "born";
  return (
    <html lang="en">
      <head>
        <title>People</title>
      </head>
      <body>
        <h1>People</h1>
        {sorted(PEOPLE, by).map((person) => <Card person={person} />)}
      </body>
    </html>
  );
}

export function init(): void {
  register("/people", people, "GET");
}
