package render

import (
	"io"
	"strings"
	"unicode/utf8"
)

// Column is a column of a table.
type Column struct {
	Title string
	Right bool // numbers stand at the right
}

// Table is rows under titles. The cells are made safe when they are written.
type Table struct {
	Columns []Column
	Rows    [][]string
	Empty   string // what is written instead of a table without rows
	Wide    bool   // long cells are whole
}

// Columns makes columns of titles; a title that begins with ">" is at the right.
func Columns(titles ...string) []Column {
	out := make([]Column, len(titles))
	for i, t := range titles {
		name, right := strings.CutPrefix(t, ">")
		out[i] = Column{Title: name, Right: right}
	}
	return out
}

// Add appends a row.
func (t *Table) Add(cells ...string) {
	for i := range cells {
		if cells[i] = Line(cells[i]); cells[i] == "" {
			cells[i] = "-"
		}
	}
	t.Rows = append(t.Rows, cells)
}

// cut bounds a cell: one hostile name of 250 characters would make every line
// that long.
func cut(s string) string {
	if utf8.RuneCountInString(s) <= maxCell {
		return s
	}
	r := []rune(s)
	return string(r[:maxCell-1]) + "…"
}

func narrow(rows [][]string) [][]string {
	out := make([][]string, len(rows))
	for i, row := range rows {
		out[i] = make([]string, len(row))
		for j, cell := range row {
			out[i][j] = cut(cell)
		}
	}
	return out
}

// Write writes the table with two blanks between columns.
func (t *Table) Write(w io.Writer, paint Paint) error {
	if len(t.Rows) == 0 {
		_, err := io.WriteString(w, t.Empty+"\n")
		return err
	}
	rows := t.Rows
	if !t.Wide {
		rows = narrow(rows)
	}
	widths := make([]int, len(t.Columns))
	titles := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		titles[i], widths[i] = c.Title, utf8.RuneCountInString(c.Title)
	}
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	b.WriteString(paint.Dim(t.line(titles, widths)) + "\n")
	for _, row := range rows {
		b.WriteString(t.line(row, widths) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *Table) line(cells []string, widths []int) string {
	var b strings.Builder
	for i, cell := range cells {
		if i > 0 {
			b.WriteString("  ")
		}
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if t.Columns[i].Right {
			b.WriteString(pad + cell)
		} else {
			b.WriteString(cell + pad)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// Paint colours text, when it is on.
type Paint bool

func (p Paint) with(code, s string) string {
	if !p || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// Dim is for what matters less.
func (p Paint) Dim(s string) string { return p.with("2", s) }

// Good is for what went well.
func (p Paint) Good(s string) string { return p.with("32", s) }

// Bad is for what failed.
func (p Paint) Bad(s string) string { return p.with("31", s) }
