/** A problem in the text of a rule, shown in its place: lines and columns from 1 on. */
export interface Mark {
  line: number;
  column: number;
  message: string;
  is_warning?: boolean;
}

/** What somebody did in the plain field: the text before it, for undoing, and where the cursor stands. */
export interface Begun {
  before: string;
  from: number;
  to: number;
  has_focus: boolean;
}
