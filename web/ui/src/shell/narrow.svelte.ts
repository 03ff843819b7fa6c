// Whether the screen is narrow: tables become cards, panels become pages.

const query = matchMedia('(max-width: 899px)');

class Narrow {
  is = $state(query.matches);

  constructor() {
    query.addEventListener('change', () => (this.is = query.matches));
  }
}

export const narrow = new Narrow();
