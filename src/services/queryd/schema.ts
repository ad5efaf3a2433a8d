/** queryd's interface: one SELECT over the catalog's tables. */

export interface Queryd {
  load(): { running: number; waiting: number };
}
