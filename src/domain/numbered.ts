/** The names in the places of their numbers; undefined where no name has the number. */
export function byNumber<N extends string>(numbers: Readonly<Record<N, number>>): readonly (N | undefined)[] {
  const names: (N | undefined)[] = [];
  for (const [name, number] of Object.entries(numbers) as [N, number][]) {
    while (names.length <= number) names.push(undefined);
    names[number] = name;
  }
  return names;
}
