/**
 * Shapes as signed distances: negative inside, positive outside, 0 on the edge. An edge of any size is then smooth where
 * a pixel is covered in part (Inigo Quilez, "2D distance functions"). y runs downwards.
 */
export type Shape = (x: number, y: number) => number;
export type Point = readonly [x: number, y: number];

export function circle(cx: number, cy: number, radius: number): Shape {
  return (x, y) => length(x - cx, y - cy) - radius;
}

/** Not the exact distance, but near enough to an edge that it is drawn clean. */
export function ellipse(cx: number, cy: number, rx: number, ry: number): Shape {
  return (x, y) => {
    const [u, v] = [(x - cx) / rx, (y - cy) / ry];
    const k = length(u, v);
    const slope = length(u / rx, v / ry);
    return slope === 0 ? -Math.min(rx, ry) : (k * (k - 1)) / slope;
  };
}

/** A rectangle by its left, top, right and bottom sides. */
export function box(left: number, top: number, right: number, bottom: number, radius = 0): Shape {
  const [cx, cy] = [(left + right) / 2, (top + bottom) / 2];
  const [hx, hy] = [(right - left) / 2 - radius, (bottom - top) / 2 - radius];
  return (x, y) => {
    const [dx, dy] = [Math.abs(x - cx) - hx, Math.abs(y - cy) - hy];
    return length(Math.max(dx, 0), Math.max(dy, 0)) + Math.min(Math.max(dx, dy), 0) - radius;
  };
}

/** A line with round ends. */
export function line([ax, ay]: Point, [bx, by]: Point, width: number): Shape {
  const [ex, ey] = [bx - ax, by - ay];
  const length2 = ex * ex + ey * ey;
  return (x, y) => {
    const t = Math.min(1, Math.max(0, ((x - ax) * ex + (y - ay) * ey) / length2));
    return length(x - ax - t * ex, y - ay - t * ey) - width / 2;
  };
}

/** Any polygon; `radius` rounds its corners outwards. */
export function polygon(points: readonly Point[], radius = 0): Shape {
  // Flat numbers: this is asked of every pixel, and most figures are made of polygons.
  const edges = Float64Array.from(
    points.flatMap(([ax, ay], i) => {
      const [bx, by] = points.at(i - 1)!;
      return [ax, ay, bx - ax, by - ay, 1 / ((bx - ax) ** 2 + (by - ay) ** 2)];
    }),
  );
  return (x, y) => {
    let nearest = Number.POSITIVE_INFINITY;
    let isInside = false;
    for (let i = 0; i < edges.length; i += 5) {
      const ex = edges[i + 2]!;
      const ey = edges[i + 3]!;
      const wx = x - edges[i]!;
      const wy = y - edges[i + 1]!;
      const t = Math.min(1, Math.max(0, (wx * ex + wy * ey) * edges[i + 4]!));
      const dx = wx - t * ex;
      const dy = wy - t * ey;
      nearest = Math.min(nearest, dx * dx + dy * dy);
      if (wy < 0 !== wy < ey && wx < (ex * wy) / ey) isInside = !isInside;
    }
    return (isInside ? -1 : 1) * Math.sqrt(nearest) - radius;
  };
}

/** A star of five points, one of them up. */
export function star(cx: number, cy: number, radius: number, inner = 0.5): Shape {
  const points = Array.from({ length: 10 }, (_, i): Point => {
    const [r, angle] = [i % 2 === 0 ? radius : radius * inner, (Math.PI * i) / 5];
    return [cx + r * Math.sin(angle), cy - r * Math.cos(angle)];
  });
  return polygon(points);
}

export function union(...shapes: readonly Shape[]): Shape {
  return (x, y) => {
    let distance = Number.POSITIVE_INFINITY;
    for (const shape of shapes) distance = Math.min(distance, shape(x, y));
    return distance;
  };
}

export function intersection(a: Shape, b: Shape): Shape {
  return (x, y) => Math.max(a(x, y), b(x, y));
}

/** What is in `a` and not in `b`. */
export function difference(a: Shape, b: Shape): Shape {
  return (x, y) => Math.max(a(x, y), -b(x, y));
}

/** `Math.hypot` guards against overflow, which makes it many times slower. */
function length(x: number, y: number): number {
  return Math.sqrt(x * x + y * y);
}
