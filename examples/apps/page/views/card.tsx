export interface Person {
  name: string;
  born: number;
}

export const Card = ({ person }: { person: Person }) => (
  <section class="card">
    <h2>{person.name}</h2>
    <p>born {person.born}</p>
  </section>
);
