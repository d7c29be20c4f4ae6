// Where the cells of the grid are. It knows neither the canvas nor the instances.
const CELL_SIDES = [40, 32, 28, 24, 20, 17, 15, 13, 11, 10, 9]; // with the gap, in CSS pixels
const LABEL_HEIGHT = 24; // of the line above a group
const GROUP_GAP = 10; // below a group

// GridLayout places groups of cells in rows. Each group has a count of cells, and a line above it if labelled.
export class GridLayout {
  // The constructor takes the largest cells with which everything fits into maxHeight.
  constructor({ width, maxHeight, counts, labelled }) {
    this.counts = counts;
    this.labelled = labelled;
    const side = CELL_SIDES.find((candidate) => this.heightWith(candidate, width) <= maxHeight) ?? CELL_SIDES.at(-1);
    this.side = side;
    this.columns = columnsWith(side, width);
    this.height = Math.max(side, this.heightWith(side, width));
    this.groups = []; // { first, count, top }: the index of the first cell, and the y of the first row
    let top = 0;
    let first = 0;
    for (const count of counts) {
      if (labelled) top += LABEL_HEIGHT;
      this.groups.push({ first, count, top });
      first += count;
      top += Math.ceil(count / this.columns) * side + (labelled ? GROUP_GAP : 0);
    }
  }

  heightWith(side, width) {
    const columns = columnsWith(side, width);
    const extra = this.labelled ? LABEL_HEIGHT + GROUP_GAP : 0;
    return this.counts.reduce((height, count) => height + Math.ceil(count / columns) * side + extra, 0);
  }

  // groupOf returns the group of a cell by binary search: a repaint asks for every cell.
  groupOf(index) {
    let low = 0;
    let high = this.groups.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.groups[middle].first <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  // position returns the upper left corner of a cell.
  position(index) {
    const { first, top } = this.groups[this.groupOf(index)];
    return {
      x: (index - first) % this.columns * this.side,
      y: top + Math.floor((index - first) / this.columns) * this.side,
    };
  }

  // indexAt returns the cell at a point, or -1.
  indexAt(x, y) {
    const column = Math.floor(x / this.side);
    if (column < 0 || column >= this.columns) return -1;
    for (const { first, count, top } of this.groups) {
      const offset = Math.floor((y - top) / this.side) * this.columns + column;
      if (y >= top && offset < count) return first + offset;
    }
    return -1;
  }

  // below returns the cell a number of rows further down, or up if it is negative. It crosses groups, keeps to the
  // column as far as there are cells, and returns an index outside the grid behind the last and before the first row.
  below(index, rows) {
    const step = Math.sign(rows);
    let at = index;
    for (let n = 0; n < Math.abs(rows); n++) {
      const next = this.nextRow(at, step);
      if (next < 0) return step > 0 ? this.groups.at(-1).first + this.groups.at(-1).count : -1;
      at = next;
    }
    return at;
  }

  // nextRow returns -1 without a next row.
  nextRow(index, step) {
    const number = this.groupOf(index);
    const group = this.groups[number];
    const column = (index - group.first) % this.columns;
    const row = Math.floor((index - group.first) / this.columns) + step;
    const inRow = (of, wanted) => of.first + Math.min(wanted * this.columns + column, of.count - 1);
    if (row >= 0 && row < Math.ceil(group.count / this.columns)) return inRow(group, row);
    const other = this.groups[number + step];
    if (!other) return -1;
    return inRow(other, step > 0 ? 0 : Math.ceil(other.count / this.columns) - 1);
  }
}

const columnsWith = (side, width) => Math.max(1, Math.floor(width / side));
