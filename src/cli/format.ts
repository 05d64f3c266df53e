/** 1289823752 → "1,289,823,752" */
export function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ","); // toLocaleString would take longer to load than all else
}

const scales = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
] as const;

/** 1289823752 → "1.29 G": three digits, and the letter of the scale. */
export function scaled(count: number): string {
  const [scale, letter] = scales.find(([limit]) => Math.abs(count) >= 0.9995 * limit) ?? [1, ""];
  const value = count / scale;
  const digits = letter === "" ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value) * 1.0005)));
  return `${value.toFixed(digits)}${letter && ` ${letter}`}`;
}

/** 1289823752 → "1.29 GB" */
export function bytes(count: number): string {
  const text = scaled(count);
  return /[a-zA-Z]$/.test(text) ? `${text}B` : `${text} B`;
}

/** 4000 → "4 s", 75000 → "1 min 15 s", 4000000 → "1 h 7 min" */
export function duration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export type Align = "left" | "right";

/** Rows of cells as lines, each column as wide as its widest cell. */
export function table(rows: readonly (readonly string[])[], align: readonly Align[]): string[] {
  const widths = align.map((_, column) => Math.max(...rows.map((row) => columns(row[column] ?? ""))));
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const space = " ".repeat(widths[column]! - columns(cell));
        return align[column] === "right" ? space + cell : cell + space;
      })
      .join("  ")
      .trimEnd(),
  );
}

const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;

/** How many columns of a terminal a text takes: kana and kanji take two. */
export function columns(text: string): number {
  let count = 0;
  for (const character of text) count += wide.test(character) ? 2 : 1;
  return count;
}

/** The beginning of a text that fits. */
export function cut(text: string, width: number): string {
  if (columns(text) <= width) return text;
  let [kept, room] = ["", width - 1];
  for (const character of text) {
    room -= columns(character);
    if (room < 0) break;
    kept += character;
  }
  return `${kept}…`;
}

/**
 * Text as a terminal may be shown it: what would steer the terminal, or turn the order of letters round, is written out.
 * Names and texts in files are anybody's.
 */
export function harmless(text: string): string {
  return text.replace(/[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, (character) =>
    character === "\n" || character === "\t"
      ? character
      : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
