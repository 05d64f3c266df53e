// Captions of scenes, a line each, for tokenizer.py: `npm run scripts`, then `node out/weights/mini/training/captions.js > captions.txt`.
// Before and after each Japanese word of ours stands a bar. Japanese has no spaces, and pieces that begin in one word and end in
// another would hide from a model that two captions have a word in common.
import { captionsOf, randomScene, vocabulary } from "tfjs-diffusion/scenes";

const seed = 1;
const count = 20_000;

const tables: Readonly<Record<string, { readonly ja: readonly string[] }>>[] = [
  vocabulary.objects,
  vocabulary.colours,
  vocabulary.places,
  vocabulary.times,
  vocabulary.positions,
  vocabulary.sizes,
  vocabulary.styles,
  vocabulary.mascots,
];
const words = tables.flatMap((table) => Object.values(table).flatMap(({ ja }) => ja));
const counters = Object.values(vocabulary.objects).map(({ counter }) => counter);
const longestFirst = [...words, ...counters].toSorted((a, b) => b.length - a.length);
const pattern = new RegExp(longestFirst.join("|"), "g");

for (let index = 0; index < count; index++) {
  const [japanese, english] = captionsOf(randomScene(seed, index), seed, index);
  console.log(japanese.replace(pattern, "|$&|"));
  console.log(english);
}
