/** How much evaluating may do: small files can describe values, and steps towards them, without end. */
import { MAX_WORK } from "../limits.ts";

/** One body that is looked up in for what it assigns. */
export const LOOKUP = 16;

/** Counts what is made on the way to the values: shared by all that is evaluated for one file. */
export class Work {
  private spent = 0;

  /** In the units of `Value.size`: characters and elements that are copied or escaped, names that are looked up. */
  spend(amount: number): void {
    this.spent += amount;
  }

  get isExhausted(): boolean {
    return this.spent > MAX_WORK;
  }
}
