package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTableJudgesMedians(t *testing.T) {
	r := newResults()
	for i, rate := range []float64{2000, 2000, 4000, 4000} {
		r.add(cLoop, rate)
		if i%2 == 0 {
			r.add(runnerAlone, 1500)
		}
	}
	r.add(addRatio, 2.6)
	r.addRatios()
	table := r.table()
	for _, want := range []string{
		"| runner alone, share of the C loop | ≥ 65.0 % | 75.0 % | 37.5 – 75.0 | met |",
		"| 2.60 | – | MISSED |",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("%q is not in the table:\n%s", want, table)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{1234567: "1,234,567", 1000: "1,000", 999: "999", 45.678: "45.7", 2.345: "2.35"} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %q, want %q", v, got, want)
		}
	}
}

func TestQuantile(t *testing.T) {
	v := []time.Duration{5, 1, 4, 2, 3}
	if p50, p99 := quantile(v, 0.5), quantile(v, 0.99); p50 != 3 || p99 != 5 {
		t.Errorf("p50 %d, p99 %d; want 3, 5", p50, p99)
	}
}

func TestWriteTableKeepsTheRest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "B.md")
	if err := os.WriteFile(path, []byte("head\n"+beginMark+"\nold\n"+endMark+"\ntail\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeTable(path, "2 cores", "| new |\n"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := "head\n" + beginMark + "\nMeasured on: 2 cores.\n\n| new |\n" + endMark + "\ntail\n"; string(text) != want {
		t.Errorf("the file is now %q, want %q", text, want)
	}
}
