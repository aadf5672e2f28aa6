/** Whether two types are the same, not merely assignable to each other. */
export type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** Does not compile unless it is given `true`: `expect<Equal<A, B>>()`. */
export declare function expect<_ extends true>(): void
