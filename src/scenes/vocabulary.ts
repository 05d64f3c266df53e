/**
 * Everything that a scene can hold, and what it is called. Every word is a list: the first is the usual one, the others
 * are said now and then, so that a model knows them too.
 */

type Words = readonly [usual: string, ...others: string[]];
export type Colour = readonly [red: number, green: number, blue: number];

/** What can stand in a scene. `counter` is what Japanese counts it with: 船が2そう. */
export const objects = {
  ball: { ja: ["ボール"], counter: "個", en: ["ball"], many: "balls" },
  star: { ja: ["星"], counter: "個", en: ["star"], many: "stars" },
  heart: { ja: ["ハート"], counter: "個", en: ["heart"], many: "hearts" },
  house: { ja: ["家"], counter: "軒", en: ["house"], many: "houses" },
  tree: { ja: ["木"], counter: "本", en: ["tree"], many: "trees" },
  fish: { ja: ["魚", "さかな"], counter: "匹", en: ["fish"], many: "fish" },
  boat: { ja: ["船", "ヨット"], counter: "隻", en: ["boat", "ship"], many: "boats" },
  car: { ja: ["車", "くるま"], counter: "台", en: ["car"], many: "cars" },
  umbrella: { ja: ["傘", "かさ"], counter: "本", en: ["umbrella"], many: "umbrellas" },
  cat: { ja: ["猫", "ねこ"], counter: "匹", en: ["cat"], many: "cats" },
} as const satisfies Record<string, { ja: Words; counter: string; en: Words; many: string }>;

/** Strong colours: the places are pale by day and dim by night, so that none of these vanishes in any. */
export const colours = {
  red: { ja: ["赤い"], en: ["red"], rgb: [225, 40, 45] },
  orange: { ja: ["オレンジ色の", "オレンジの"], en: ["orange"], rgb: [250, 135, 15] },
  yellow: { ja: ["黄色い"], en: ["yellow"], rgb: [255, 225, 40] },
  green: { ja: ["緑の", "緑色の"], en: ["green"], rgb: [25, 175, 50] },
  blue: { ja: ["青い"], en: ["blue"], rgb: [35, 85, 230] },
  purple: { ja: ["紫の", "紫色の"], en: ["purple"], rgb: [135, 50, 190] },
  pink: { ja: ["ピンクの", "ピンク色の"], en: ["pink"], rgb: [255, 130, 190] },
  white: { ja: ["白い"], en: ["white"], rgb: [252, 252, 252] },
} as const satisfies Record<string, { ja: Words; en: Words; rgb: Colour }>;

/** Where it is. `at` is how English says that something is there. */
export const places = {
  meadow: { ja: ["草原", "原っぱ"], en: ["meadow", "grassland"], at: "in the" },
  sea: { ja: ["海"], en: ["sea", "ocean"], at: "on the" },
  desert: { ja: ["砂漠"], en: ["desert"], at: "in the" },
  snow: { ja: ["雪原", "雪"], en: ["snow", "snow field"], at: "in the" },
  forest: { ja: ["森"], en: ["forest", "woods"], at: "in the" },
  town: { ja: ["町", "街"], en: ["town", "city"], at: "in the" },
  mountains: { ja: ["山"], en: ["mountains"], at: "in the" },
} as const satisfies Record<string, { ja: Words; en: Words; at: string }>;

export const times = {
  day: { ja: ["昼", "昼間"], en: ["day", "daytime"], when: "by day" },
  evening: { ja: ["夕方", "夕暮れ"], en: ["evening", "sunset"], when: "in the evening" },
  night: { ja: ["夜"], en: ["night"], when: "at night" },
} as const satisfies Record<string, { ja: Words; en: Words; when: string }>;

export const positions = {
  left: { ja: ["左"], en: ["on the left"] },
  centre: { ja: ["真ん中", "中央"], en: ["in the middle", "in the center"] },
  right: { ja: ["右"], en: ["on the right"] },
} as const satisfies Record<string, { ja: Words; en: Words }>;

export const sizes = {
  small: { ja: ["小さな", "小さい"], en: ["small", "little"] },
  big: { ja: ["大きな", "大きい"], en: ["big", "large"] },
} as const satisfies Record<string, { ja: Words; en: Words }>;

export const styles = {
  flat: { ja: ["フラットな絵"], en: ["flat style"] },
  outlined: { ja: ["線のある絵"], en: ["outlined style"] },
  soft: { ja: ["やわらかい絵"], en: ["soft style"] },
} as const satisfies Record<string, { ja: Words; en: Words }>;

/** Characters of ours, which stand for those that a model is licensed to draw: the classifier is to find them. */
export const mascots = {
  mint: { ja: ["ほしねこミント", "ミント"], en: ["Mint the star cat", "Mint"] },
  latte: { ja: ["もちくまラテ", "ラテ"], en: ["Latte the mochi bear", "Latte"] },
  soda: { ja: ["そらうさソーダ", "ソーダ"], en: ["Soda the sky bunny", "Soda"] },
  lulu: { ja: ["かぼちゃルル", "ルル"], en: ["Lulu the pumpkin witch", "Lulu"] },
  popo: { ja: ["ゆきペンポポ", "ポポ"], en: ["Popo the snow penguin", "Popo"] },
} as const satisfies Record<string, { ja: Words; en: Words }>;

export type ObjectName = keyof typeof objects;
export type ColourName = keyof typeof colours;
export type PlaceName = keyof typeof places;
export type TimeName = keyof typeof times;
export type PositionName = keyof typeof positions;
export type SizeName = keyof typeof sizes;
export type StyleName = keyof typeof styles;
export type MascotName = keyof typeof mascots;
export type Count = 1 | 2 | 3;

/** The names in one of the tables above, in their order. */
export function namesOf<Name extends string>(table: Readonly<Record<Name, unknown>>): readonly Name[] {
  return Object.keys(table) as Name[];
}
