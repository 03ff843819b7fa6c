/** What an object itself holds under a name that somebody else chose: `constructor` is not among it. */
export function own<T>(of: Record<string, T> | null | undefined, name: string): T | undefined {
  return of && Object.hasOwn(of, name) ? of[name] : undefined;
}
