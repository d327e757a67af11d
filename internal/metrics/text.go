// Package metrics writes what the daemon counts in the text format of Prometheus, version 0.0.4. It is
// written by hand: the client library would make every command of the program start later, and the
// format is a page long.
package metrics

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
)

// kind is a metric's type as the format calls it.
type kind string

const (
	counter   kind = "counter"
	gauge     kind = "gauge"
	histogram kind = "histogram"
)

// text is an exposition on its way. The samples of a family follow it at once.
type text struct {
	bytes.Buffer
	name string // of the present family
}

// family begins a metric.
func (t *text) family(name string, k kind, help string) {
	t.name = name
	t.WriteString("# HELP " + name + " " + helpEscape.Replace(help) + "\n# TYPE " + name + " " + string(k) + "\n")
}

var (
	helpEscape  = strings.NewReplacer("\\", `\\`, "\n", `\n`)
	labelEscape = strings.NewReplacer("\\", `\\`, "\n", `\n`, `"`, `\"`)
)

// sample writes a value with labels, given as name, value, name, value.
func (t *text) sample(value float64, labels ...string) { t.line("", value, labels) }

func (t *text) line(suffix string, value float64, labels []string) {
	t.WriteString(t.name + suffix)
	for i := 0; i+1 < len(labels); i += 2 {
		t.WriteByte("{,"[min(i, 1)])
		t.WriteString(labels[i] + `="` + labelEscape.Replace(strings.ToValidUTF8(labels[i+1], "\uFFFD")) + `"`)
	}
	if len(labels) > 0 {
		t.WriteByte('}')
	}
	t.WriteString(" " + number(value) + "\n")
}

func number(v float64) string {
	if math.IsInf(v, 1) {
		return "+Inf"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// Histogram counts durations by their length.
type Histogram struct {
	Bounds []float64 // seconds, ascending
	Counts []uint64  // Counts[i] is how many took Bounds[i] at most and more than the bound before; one more for what is longer; none = nothing was counted
	Sum    float64   // seconds of all together
}

func (t *text) histogram(h *Histogram) {
	total := uint64(0)
	for i, bound := range append(slices.Clone(h.Bounds), math.Inf(1)) {
		if i < len(h.Counts) {
			total += h.Counts[i]
		}
		t.line("_bucket", float64(total), []string{"le", number(bound)})
	}
	t.line("_sum", h.Sum, nil)
	t.line("_count", float64(total), nil)
}
