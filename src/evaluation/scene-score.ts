import { agreement, type HeldOutPrompt, type Judged, type Judgement } from "../scenes/index.ts";

/** A picture that was drawn of a prompt, as it was judged. */
export interface JudgedPicture extends Pick<HeldOutPrompt, "scene" | "language"> {
  seen: Judgement;
}

/** How many were right, of those that were asked for. */
export interface Share {
  right: number;
  asked: number;
}

/** Of each attribute, and of `mainAttributes` together as "all". */
export type Shares = Partial<Record<Judged | "all", Share>>;

export interface SceneScore {
  all: Shares;
  byLanguage: Record<HeldOutPrompt["language"], Shares>;
  /** Each picture asked about all the other prompts: what a model would reach that draws well and does not listen. */
  shuffled: Shares;
}

/** What counts for "all". Time and count are told beside it. */
export const mainAttributes: readonly Judged[] = ["object", "colour", "place", "position", "size"];

/** How many of the attributes that prompts ask for are in their pictures. */
export function scoreScenes(pictures: readonly JudgedPicture[]): SceneScore {
  const [all, shuffled]: Shares[] = [{}, {}];
  const byLanguage: SceneScore["byLanguage"] = { ja: {}, en: {} };
  for (const [i, { seen, scene, language }] of pictures.entries()) {
    count(agreement(seen, scene), all!);
    count(agreement(seen, scene), byLanguage[language]);
    for (const [j, other] of pictures.entries()) if (i !== j) count(agreement(seen, other.scene), shuffled!);
  }
  return { all: all!, byLanguage, shuffled: shuffled! };
}

function count(agreed: Partial<Record<Judged, boolean>>, into: Shares): void {
  const add = (name: Judged | "all", isRight: boolean) => {
    into[name] ??= { right: 0, asked: 0 };
    const share = into[name];
    share.asked++;
    if (isRight) share.right++;
  };
  for (const [name, isRight] of Object.entries(agreed) as [Judged, boolean][]) {
    add(name, isRight);
    if (mainAttributes.includes(name)) add("all", isRight);
  }
}

/** 0…1; NaN where nothing was asked. */
export function rate({ right, asked }: Share = { right: 0, asked: 0 }): number {
  return right / asked;
}
