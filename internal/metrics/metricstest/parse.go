// Package metricstest reads the text format of Prometheus as strictly as its description has it.
package metricstest

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Family is a metric with its samples by their labels, written {a="1",b="2"} in order of names; those
// of a histogram have the suffix before that.
type Family struct {
	Type    string
	Samples map[string]float64
}

var (
	helpLine   = regexp.MustCompile(`^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) ((?:[^\\]|\\\\|\\n)+)$`)
	typeLine   = regexp.MustCompile(`^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram)$`)
	sampleLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? ([^ ]+)$`)
	label      = regexp.MustCompile(`^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\\\|\\n|\\")*)"`)
)

// Parse reads a whole text. Each family has HELP, TYPE and samples in one piece.
func Parse(text string) (map[string]*Family, error) {
	if !utf8.ValidString(text) || !strings.HasSuffix(text, "\n") {
		return nil, fmt.Errorf("no UTF-8, or the last line has no end")
	}
	families, name, help := map[string]*Family{}, "", ""
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		wrong := func(what string) error { return fmt.Errorf("line %d: %s: %q", i+1, what, line) }
		if m := helpLine.FindStringSubmatch(line); m != nil {
			if help = m[1]; families[help] != nil {
				return nil, wrong("the family comes again")
			}
			continue
		}
		if m := typeLine.FindStringSubmatch(line); m != nil {
			if name = m[1]; name != help || families[name] != nil {
				return nil, wrong("no HELP before it, or the family comes again")
			}
			families[name] = &Family{Type: m[2], Samples: map[string]float64{}}
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil || help != name {
			return nil, wrong("no line of the format")
		}
		f := families[name]
		suffix, ok := strings.CutPrefix(m[1], name)
		if f == nil || !ok || (suffix != "") != (f.Type == "histogram") || f.Type == "counter" && !strings.HasSuffix(name, "_total") {
			return nil, wrong("a sample that does not belong to the family " + name)
		}
		labels, err := parseLabels(m[2])
		if err != nil {
			return nil, wrong(err.Error())
		}
		value, err := strconv.ParseFloat(m[3], 64)
		if _, twice := f.Samples[suffix+labels]; twice || err != nil || f.Type != "gauge" && !(value >= 0) {
			return nil, wrong("the sample comes again, or its value is none")
		}
		f.Samples[suffix+labels] = value
	}
	for name, f := range families {
		if err := f.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return families, nil
}

func parseLabels(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	values := map[string]string{}
	for s = s[1:]; ; s = s[1:] {
		m := label.FindStringSubmatch(s)
		if m == nil {
			return "", fmt.Errorf("labels that can't be read from %q on", s)
		}
		if _, twice := values[m[1]]; twice {
			return "", fmt.Errorf("the label %s comes again", m[1])
		}
		values[m[1]] = m[2]
		if s = s[len(m[0]):]; s == "}" {
			break
		}
		if !strings.HasPrefix(s, ",") {
			return "", fmt.Errorf("no comma at %q", s)
		}
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		parts = append(parts, name+`="`+values[name]+`"`)
	}
	return "{" + strings.Join(parts, ",") + "}", nil
}

// check holds a histogram to its rules: buckets grow with their bounds up to +Inf, which is the count.
func (f *Family) check() error {
	if f.Type != "histogram" {
		return nil
	}
	buckets := map[float64]float64{}
	for key, value := range f.Samples {
		le, ok := strings.CutPrefix(key, `_bucket{le="`)
		if !ok {
			if key != "_sum" && key != "_count" {
				return fmt.Errorf("no sample of a histogram: %s", key)
			}
			continue
		}
		bound, err := strconv.ParseFloat(strings.TrimSuffix(le, `"}`), 64)
		if err != nil {
			return err
		}
		buckets[bound] = value
	}
	last := 0.0
	for _, bound := range slices.Sorted(maps.Keys(buckets)) {
		if buckets[bound] < last {
			return fmt.Errorf("the bucket %v has less than the one before", bound)
		}
		last = buckets[bound]
	}
	count, ok := f.Samples["_count"]
	if all, there := buckets[math.Inf(1)]; !ok || !there || all != count {
		return fmt.Errorf("the bucket +Inf is not the count")
	}
	if _, ok := f.Samples["_sum"]; !ok {
		return fmt.Errorf("there is no sum")
	}
	return nil
}
