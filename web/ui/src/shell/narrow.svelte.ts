// How much text the screen holds: where it is narrow, tables become cards and panels become pages.

/** 899 px where the browser's text has its usual size, and more where it is larger. */
const query = matchMedia('(max-width: 56.1875em)');

class Narrow {
  is = $state(query.matches);

  constructor() {
    query.addEventListener('change', () => (this.is = query.matches));
  }
}

export const narrow = new Narrow();

/** `rem` in pixels, at the size of text that the browser has. */
export const in_px = (rem: number): number => rem * Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
