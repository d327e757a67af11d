package cli

import (
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// column is one column of a table.
type column struct {
	title string
	right bool // numbers
	cut   bool // may be shortened to fit the terminal; one column at most
	spare int  // may be left out to fit the terminal, the highest first; 0 = never
}

// table is rows of cells. Cells are printable text.
type table struct {
	columns []column
	rows    [][]string
	first   bool // of several parts: a column that is empty in it may not be in the others
	// paint colours a cell's text, padding not included; nil for none.
	paint func(column int, cell string) string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// write writes the table without columns that are empty in every row. With width > 0 the column
// that may be cut is shortened so that lines fit.
func (t *table) write(w io.Writer, width int) error {
	_, err := t.writePart(w, width, nil)
	return err
}

// writePart writes a part of a table that is too long for the memory, and returns how wide its
// columns are. The first part, with before nil, has the heading; the others take the widths of the
// one before, and a column grows where its cells need it.
func (t *table) writePart(w io.Writer, width int, before []int) ([]int, error) {
	var b strings.Builder
	widths := slices.Clone(before)
	if before != nil {
		t.grow(widths, width)
	} else {
		widths = t.fit(width)
		titles := make([]string, len(t.columns))
		for i, c := range t.columns {
			titles[i] = c.title
		}
		t.line(&b, widths, titles, nil)
	}
	for _, row := range t.rows {
		t.line(&b, widths, row, t.paint)
	}
	_, err := io.WriteString(w, b.String())
	return widths, err
}

// grow makes room for wider cells; with width > 0 the column that may be cut gives it.
func (t *table) grow(widths []int, width int) {
	cut, more := -1, 0
	for i, c := range t.columns {
		if c.cut && width > 0 {
			cut = i
			continue
		}
		for _, row := range t.rows {
			if n := displayWidth(row[i]); widths[i] > 0 && n > widths[i] {
				more += n - widths[i]
				widths[i] = n
			}
		}
	}
	if cut >= 0 && widths[cut] > leastCut {
		widths[cut] = max(widths[cut]-more, leastCut)
	}
}

// fit returns how wide the columns are, 0 for those that are left out.
func (t *table) fit(width int) []int {
	widths := make([]int, len(t.columns))
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], displayWidth(cell))
		}
	}
	total, cut := -2, -1
	for i, c := range t.columns {
		if widths[i] == 0 && !t.first {
			continue
		}
		widths[i] = max(widths[i], displayWidth(c.title))
		total += widths[i] + 2
		if c.cut {
			cut = i
		}
	}
	if width > 0 && cut >= 0 {
		total -= max(widths[cut]-leastCut, 0) // as narrow as it may get
		for spare := t.mostSpare(widths); total > width && spare >= 0; spare = t.mostSpare(widths) {
			total -= widths[spare] + 2
			widths[spare] = 0
		}
		widths[cut] = min(widths[cut], leastCut+max(width-total, 0))
	}
	return widths
}

// leastCut is how far a column is shortened before others are left out.
const leastCut = 20

// mostSpare returns the shown column that is missed least, -1 when none can be left out.
func (t *table) mostSpare(widths []int) int {
	most := -1
	for i, c := range t.columns {
		if widths[i] > 0 && c.spare > 0 && (most < 0 || c.spare > t.columns[most].spare) {
			most = i
		}
	}
	return most
}

func (t *table) line(b *strings.Builder, widths []int, cells []string, paint func(int, string) string) {
	gap := 0 // spaces owed before the next cell; none are left at a line's end
	first := true
	for i, cell := range cells {
		if widths[i] == 0 {
			continue
		}
		if !first {
			gap += 2
		}
		first = false
		cell = shorten(cell, widths[i])
		pad := widths[i] - displayWidth(cell)
		if t.columns[i].right {
			gap += pad
			pad = 0
		}
		if cell != "" {
			b.WriteString(strings.Repeat(" ", gap))
			gap = 0
			if paint != nil {
				cell = paint(i, cell)
			}
			b.WriteString(cell)
		}
		gap += pad
	}
	b.WriteByte('\n')
}

// shorten cuts s to width cells, the last of them "…" when something was cut.
func shorten(s string, width int) string {
	if displayWidth(s) <= width {
		return s
	}
	used := 0
	for i, r := range s {
		n := runeWidth(r)
		if used+n > width-1 {
			return s[:i] + "…"
		}
		used += n
	}
	return s
}

// shortenPainted is shorten for text with colours, which take no cells.
func shortenPainted(s string, width int) string {
	if displayWidth(colour.ReplaceAllString(s, "")) <= width {
		return s
	}
	var b strings.Builder
	for room := width; ; {
		at := colour.FindStringIndex(s)
		if at == nil {
			at = []int{len(s), len(s)}
		}
		// Something is cut: a part that takes all the room gives its last cell to the "…".
		n := displayWidth(s[:at[0]])
		if n >= room {
			b.WriteString(shorten(s[:at[0]]+"…", room) + "\x1b[0m")
			return b.String()
		}
		room -= n
		b.WriteString(s[:at[1]])
		s = s[at[1]:]
	}
}

// colour is what sets a colour on a terminal.
var colour = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// displayWidth is how many cells of a terminal s takes.
func displayWidth(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// wide are the ranges that a terminal shows in two cells (East Asian Width W and F, and emoji).
var wide = [...][2]rune{{0x1100, 0x115f}, {0x2e80, 0x303e}, {0x3041, 0xa4cf}, {0xa960, 0xa97c}, {0xac00, 0xd7a3}, {0xf900, 0xfaff},
	{0xfe30, 0xfe6f}, {0xff00, 0xff60}, {0xffe0, 0xffe6}, {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}}

func runeWidth(r rune) int {
	if r < 0x300 {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	for _, w := range wide {
		if r >= w[0] && r <= w[1] {
			return 2
		}
	}
	return 1
}
