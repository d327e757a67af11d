package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// results collects samples by name, one or more a round.
type results struct {
	samples map[string][]float64
}

func newResults() *results { return &results{samples: map[string][]float64{}} }

func (r *results) add(name string, v float64) {
	r.samples[name] = append(r.samples[name], v)
}

// addRate records n things done in d.
func (r *results) addRate(name string, n int, d time.Duration) {
	rate := float64(n) / d.Seconds()
	r.add(name, rate)
	fmt.Printf("  %s: %.0f/s\n", name, rate)
}

// addMillis records a duration in milliseconds.
func (r *results) addMillis(name string, d time.Duration) {
	r.add(name, millis(d))
	fmt.Printf("  %s: %.3f ms\n", name, millis(d))
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// addRatios adds for each round the share that every throughput is of the C loop in that round.
func (r *results) addRatios() {
	loops := r.samples[cLoop]
	for _, name := range []string{runnerAlone, bulkRun, goLoop, taskSpooler, processRun} {
		runs := r.samples[name]
		if len(runs) == 0 || len(loops) < len(runs) {
			continue
		}
		each := len(loops) / len(runs) // C loops a round
		for i, v := range runs {
			r.add(name+share, 100*v/mean(loops[i*each:(i+1)*each]))
		}
	}
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// quantile returns the value below which the share q of v lies; v is sorted in place.
func quantile[T float64 | time.Duration](v []T, q float64) T {
	slices.Sort(v)
	return v[min(int(q*float64(len(v))), len(v)-1)]
}

// budget is a line of the table: a measured value and what it must keep to.
type budget struct {
	what, name, unit string
	atLeast, atMost  float64 // 0 = none
}

func (b budget) String() string {
	switch {
	case b.atLeast > 0:
		return "≥ " + number(b.atLeast) + b.unit
	case b.atMost > 0:
		return "≤ " + number(b.atMost) + b.unit
	}
	return "–"
}

func (b budget) verdict(median float64) string {
	switch {
	case b.atLeast == 0 && b.atMost == 0:
		return ""
	case b.atLeast > 0 && median >= b.atLeast, b.atMost > 0 && median <= b.atMost:
		return "met"
	}
	return "MISSED"
}

// table returns the results as a Markdown table.
func (r *results) table() string {
	var t strings.Builder
	t.WriteString("| what | budget | measured (median) | range | verdict |\n|---|--:|--:|--:|---|\n")
	for _, b := range budgets {
		v := slices.Clone(r.samples[b.name])
		if len(v) == 0 {
			continue
		}
		slices.Sort(v)
		median := v[len(v)/2]
		spread := "–"
		if len(v) > 1 {
			spread = number(v[0]) + " – " + number(v[len(v)-1])
		}
		fmt.Fprintf(&t, "| %s | %s | %s%s | %s | %s |\n", b.what, b, number(median), b.unit, spread, b.verdict(median))
	}
	return t.String()
}

// number prints three significant digits, with commas from a thousand on.
func number(v float64) string {
	switch {
	case v >= 1000:
		digits := fmt.Sprintf("%.0f", v)
		for i := len(digits) - 3; i > 0; i -= 3 {
			digits = digits[:i] + "," + digits[i:]
		}
		return digits
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
