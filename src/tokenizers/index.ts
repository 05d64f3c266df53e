export { openTokenizer } from "./open.ts";
export type { Encoding, Tokenizer } from "./tokenizer.ts";
