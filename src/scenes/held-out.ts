import { type ColourName, colours, namesOf, type ObjectName, objects, type PlaceName, places } from "./vocabulary.ts";

/**
 * Whether an object of this colour in this place is kept from training, to be asked for later.
 *
 * Of the o-th object, the c-th colour and the p-th place (from 0, in the order of the vocabulary) it is where
 * o + 3c + 7p is a multiple of 10: 56 of the 560. As 3 and 7 are prime to 10, the other two leave out at most one: every
 * object is seen in all colours but for one place each, in all places but for one colour each, and every colour in every
 * place with nine of the ten objects.
 */
export function isHeldOut(object: ObjectName, colour: ColourName, place: PlaceName): boolean {
  const o = namesOf(objects).indexOf(object);
  const c = namesOf(colours).indexOf(colour);
  const p = namesOf(places).indexOf(place);
  return (o + 3 * c + 7 * p) % 10 === 0;
}
